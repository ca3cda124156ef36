"""Where a PostgreSQL URL points, and how to encrypt the way there.

A password may hold any character, percent-encoded or as it is. TLS is asked for as everywhere: see `databot.types.tls`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import unquote

from databot.types.errors import ConfigError
from databot.types.server_url import UrlRules, read_server_url
from databot.types.tls import OPTIONS as TLS_OPTIONS
from databot.types.tls import tls_of

RULES = UrlRules(
    setting="storage.url",
    spelling="postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE",
    port=5432,
    options=("host", "search_path", *TLS_OPTIONS),
    spellings={"ssl": "sslmode"},  # what SQLAlchemy's URLs for asyncpg write
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, a database and a login; the password is never shown.

    `ssl` is what asyncpg is told: a context it has to use, `disable` or `prefer`; `None` leaves it to PGSSLMODE, and else
    means `prefer`.
    """

    host: str
    port: int
    database: str
    user: str | None
    password: str | None = field(repr=False)
    ssl: SSLContext | str | None = None
    search_path: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


def address_of(url: str) -> Address:
    """Read a URL, and the certificate files it names: once, so that renewed ones count after a restart.

    Raises:
        ConfigError: it is not such a URL, or a certificate file cannot be used; the message never repeats the URL.
    """
    read = read_server_url(url, RULES)
    return Address(
        host=read.options.get("host") or read.host or "localhost",
        port=read.port,
        database=unquote(read.path) or read.user or "postgres",
        user=read.user,
        password=read.password,
        ssl=encryption_of(read.options),
        search_path=read.options.get("search_path"),
    )


def encryption_of(options: Mapping[str, str]) -> SSLContext | str | None:
    try:
        tls = tls_of(options)
        if tls is None or tls.mode in ("disable", "prefer"):
            return tls and tls.mode
        return tls.context()
    except ConfigError as error:
        raise ConfigError(f"storage.url: {error.message}", hint=error.hint) from error
