"""Where a PostgreSQL URL points. A password may hold any character, percent-encoded or as it is."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from databot.types.errors import ConfigError

SPELLING = "postgresql+asyncpg://USER:PASSWORD@HOST:PORT/DATABASE"
OPTIONS = ("host", "ssl", "sslmode", "search_path")
DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, a database and a login; the password is never shown."""

    host: str
    port: int
    database: str
    user: str | None
    password: str | None = field(repr=False)
    ssl: str | None = None
    search_path: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


def address_of(url: str) -> Address:
    """Read a URL.

    The login ends at the last `@` in front of the host, so a raw `@`, `/`, `:` or `?` in a password is taken as it is;
    `%XX` is always decoded.

    Raises:
        ConfigError: it is not such a URL; the message never repeats it.
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
        ssl=options.get("ssl") or options.get("sslmode"),
        search_path=options.get("search_path"),
    )


def options_of(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query))
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ConfigError(
            f"storage.url has an unknown option {unknown[0]!r}",
            hint=f"the options are: {', '.join(OPTIONS)}",
        )
    return options


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
