"""Where a PostgreSQL URL points, and how to encrypt the way there.

A password may hold any character, percent-encoded or as it is. TLS is asked for as everywhere: see `databot.types.tls`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from urllib.parse import parse_qsl, unquote

from databot.types.errors import ConfigError
from databot.types.tls import OPTIONS as TLS_OPTIONS
from databot.types.tls import tls_of

SPELLING = "postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE"
OPTIONS = ("host", "search_path", *TLS_OPTIONS)
SPELLINGS = {"ssl": "sslmode"}
"""What SQLAlchemy's URLs for asyncpg write."""
DEFAULT_PORT = 5432


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

    The login ends at the last `@` in front of the host, so a raw `@`, `/`, `:` or `?` in a password is taken as it is;
    `%XX` is always decoded.

    Raises:
        ConfigError: it is not such a URL, or a certificate file cannot be used; the message never repeats the URL.
    """
    rest = url.partition("://")[2]
    login, _, place = rest.rpartition("@")
    user, _, password = login.partition(":")
    place, _, query = place.partition("?")
    server, _, database = place.partition("/")
    options = options_of(query)
    host, port = host_and_port(server)
    return Address(
        host=options.get("host") or host or "localhost",
        port=port,
        database=unquote(database) or unquote(user) or "postgres",
        user=unquote(user) or None,
        password=unquote(password) or None,
        ssl=encryption_of(options),
        search_path=options.get("search_path"),
    )


def options_of(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for written, value in parse_qsl(query):
        name = SPELLINGS.get(written, written)
        if name in options:
            raise ConfigError(f"storage.url says {name} twice", hint="keep one")
        options[name] = value
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ConfigError(
            f"storage.url has an unknown option {unknown[0]!r}",
            hint=f"the options are: {', '.join(OPTIONS)}",
        )
    return options


def encryption_of(options: Mapping[str, str]) -> SSLContext | str | None:
    try:
        tls = tls_of(options)
        if tls is None or tls.mode in ("disable", "prefer"):
            return tls and tls.mode
        return tls.context()
    except ConfigError as error:
        raise ConfigError(f"storage.url: {error.message}", hint=error.hint) from error


def host_and_port(server: str) -> tuple[str, int]:
    host, bracket, port = server.rpartition("]")
    if bracket:
        host = host.lstrip("[")
        port = port.lstrip(":")
    else:
        host, _, port = server.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigError("storage.url has a port that is not a number", hint=f"write {SPELLING}")
    return unquote(host), int(port or DEFAULT_PORT)
