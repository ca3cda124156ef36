"""Where a Redis URL points, and how to encrypt the way there.

A password may hold any character, percent-encoded or as it is. `rediss://` encrypts, and verifies the server unless an
option says otherwise; the options are those of every kind of server, see `databot.types.tls`.
"""

import re
from dataclasses import dataclass, field

from databot.types.errors import ConfigError
from databot.types.server_url import UrlRules, read_server_url
from databot.types.tls import OPTIONS as TLS_OPTIONS
from databot.types.tls import Tls, tls_of

SPELLING = "redis://USER:PASSWORD@HOST:PORT/DATABASE?namespace=NAME"
NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
RULES = UrlRules(
    setting="dispatch.url", spelling=SPELLING, port=6379, options=("namespace", *TLS_OPTIONS)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A server, one of its databases and a login; the password is never shown.

    `namespace` parts several databots in one database. `tls` is `None` for plain text.
    """

    host: str
    port: int
    database: int
    user: str | None
    password: str | None = field(repr=False)
    namespace: str
    tls: Tls | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.database}"


def redis_address(url: str) -> RedisAddress:
    """Read a `redis://` or `rediss://` URL; opens nothing and reads no file.

    Raises:
        ConfigError: it is not such a URL; the message never repeats it.
    """
    read = read_server_url(url, RULES)
    database, options = database_of(read.path), dict(read.options)
    namespace = namespace_of(options.pop("namespace", ""), database)
    return RedisAddress(
        host=read.host or "localhost",
        port=read.port,
        database=database,
        user=read.user,
        password=read.password,
        namespace=namespace,
        tls=encryption_of(read.scheme, options),
    )


def database_of(path: str) -> int:
    number = path.strip("/") or "0"
    if not (number.isascii() and number.isdigit() and int(number) < 2**31):
        raise ConfigError(
            "dispatch.url names a database that is not a number",
            hint=f"Redis counts its databases from 0: write {SPELLING}",
        )
    return int(number)


def namespace_of(name: str, database: int) -> str:
    if name and not NAMESPACE.fullmatch(name):
        raise ConfigError(
            "the namespace in dispatch.url cannot be used",
            hint="use up to 64 letters, digits, dots, hyphens and underscores",
        )
    return f"{database}.{name}" if name else str(database)


def encryption_of(scheme: str, options: dict[str, str]) -> Tls | None:
    if scheme == "redis":
        if options:
            raise ConfigError(
                f"dispatch.url has the option {min(options)}, and its scheme is plain text",
                hint="write rediss:// to encrypt, or leave the option out",
            )
        return None
    try:
        tls = tls_of({"sslmode": "verify-full"} | options)
    except ConfigError as error:
        raise ConfigError(f"dispatch.url: {error.message}", hint=error.hint) from error
    if tls is None or tls.mode in ("disable", "prefer"):
        raise ConfigError(
            "dispatch.url is rediss://, which encrypts, and its sslmode does not",
            hint="write redis:// for plain text, or leave sslmode out",
        )
    return tls
