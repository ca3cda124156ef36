"""Where a database is: its URL taken apart, with the password kept out of every text.

Pure: it opens nothing and checks nothing on disk or network. `SQLAlchemy`-style URLs are understood (`engine+driver://`);
the driver part is ignored because databot brings its own clients. `sqlalchemy+…` asks for the escape hatch.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

from databot.types.errors import ConfigError

ENGINES = {
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "postgresql": "postgres",
    "postgres": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}
FILE_ENGINES = ("sqlite", "duckdb")
EXAMPLES = "sqlite:///path, duckdb:///path, postgresql://user:password@host/db, mysql://…"

_HOSTS = r"(?P<host>\[[^\]]*\]|[^@/?#:]*)(?::(?P<port>\d+))?"
_STRICT = re.compile(
    rf"(?:(?P<user>[^@/?#]*)@)?{_HOSTS}(?:/(?P<database>[^?@]*))?(?:\?(?P<query>.*))?", re.DOTALL
)
_LENIENT = re.compile(
    rf"(?:(?P<user>.*)@)?{_HOSTS}(?:/(?P<database>[^?@]*))?(?:\?(?P<query>[^@]*))?", re.DOTALL
)
"""Second try, for a password with raw `/ ? # @`: everything before the last `@` is user and password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A database's place. `engine` names the driver; `password` and `url` never show in `repr`.

    For file engines `database` is the path, as written. For `sqlalchemy` only `url` and `scheme` mean anything.
    """

    engine: str
    scheme: str
    host: str = ""
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """What a person recognises: `host:port/database` or the file; never a credential."""
        if self.engine in FILE_ENGINES:
            return self.database
        port = f":{self.port}" if self.port else ""
        database = f"/{self.database}" if self.database else ""
        return f"{self.host or 'localhost'}{port}{database}"

    def scrub(self, text: str) -> str:
        """`text` without the password, in whatever encoding a vendor echoed it."""
        for secret in secrets_of(self.password, self.url):
            text = text.replace(secret, "***")
        return text


def secrets_of(password: str | None, url: str) -> Sequence[str]:
    """The forms a password takes in messages, longest first; single characters would scrub the language itself."""
    if not password:
        return (url,) if url else ()
    forms = {password, quote(password, safe=""), quote(password), repr(password)[1:-1]}
    kept = [form for form in forms if len(form) > 1]
    return sorted([*kept, *([url] if url else [])], key=len, reverse=True)


def parse_address(url: str) -> Address:
    """Take a database URL apart.

    Raises:
        ConfigError: no scheme, an unknown one, a bad port, or a missing path; the URL itself is never repeated.
    """
    scheme, separator, rest = url.strip().partition("://")
    scheme = scheme.lower()
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+._-]*", scheme):
        raise ConfigError("the database URL has no scheme", hint=f"write it like {EXAMPLES}")
    if scheme.startswith("sqlalchemy+"):
        return parse_foreign(scheme.removeprefix("sqlalchemy+"), rest)
    engine = ENGINES.get(scheme.partition("+")[0])
    if engine is None:
        return parse_foreign(scheme, rest)
    if engine in FILE_ENGINES:
        return parse_file(engine, scheme, rest)
    return parse_network(engine, scheme, rest)


def parse_file(engine: str, scheme: str, rest: str) -> Address:
    path, _, query = rest.partition("?")
    if not path.startswith("/") or path in {"/", "/:memory:"}:
        raise ConfigError(
            f"the {engine} URL names no file",
            hint=f"write {engine}:///relative/path or {engine}:////absolute/path",
        )
    return Address(engine=engine, scheme=scheme, database=path[1:], options=options_of(query))


def parse_network(engine: str, scheme: str, rest: str) -> Address:
    parts = _STRICT.fullmatch(rest) or _LENIENT.fullmatch(rest)
    if parts is None:
        raise ConfigError(
            f"the {engine} URL cannot be read",
            hint="percent-encode special characters of the password, e.g. @ as %40 and / as %2F",
        )
    user, password = credentials_of(parts["user"])
    port = int(parts["port"]) if parts["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ConfigError(f"the {engine} URL has an impossible port")
    return Address(
        engine=engine,
        scheme=scheme,
        host=unquote(parts["host"] or "").strip("[]"),
        port=port,
        user=user,
        password=password,
        database=unquote(parts["database"] or ""),
        options=options_of(parts["query"] or ""),
    )


def parse_foreign(scheme: str, rest: str) -> Address:
    """A URL for SQLAlchemy, which parses it itself; the password is found only in order to hide it."""
    parts = _STRICT.fullmatch(rest) or _LENIENT.fullmatch(rest)
    _, password = credentials_of(parts["user"] if parts else None)
    host = unquote(parts["host"] or "").strip("[]") if parts else ""
    return Address(
        engine="sqlalchemy", scheme=scheme, host=host, password=password, url=f"{scheme}://{rest}"
    )


def credentials_of(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    user, separator, password = text.partition(":")
    return unquote(user) or None, unquote(password) if separator else None


def options_of(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def check_options(address: Address, known: Sequence[str], also: Collection[str] = ()) -> None:
    """Refuse options of the URL a driver would not act on; `also` are other spellings, taken but not listed.

    Raises:
        ConfigError: an option is unknown; the known ones are listed, the value is not repeated.
    """
    for name in address.options:
        if name not in known and name not in also:
            raise ConfigError(
                f"the {address.engine} URL has an unknown option {name!r}",
                hint=f"the options are: {', '.join(known)}",
            )
