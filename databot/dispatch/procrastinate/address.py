"""Where PostgreSQL is, in libpq's words, and which names dispatch has there. Opens nothing.

The same spelling of URLs as for `storage.url`: a password may hold any character, TLS is asked for by PostgreSQL's own names.
"""

import hashlib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from databot.types.errors import ConfigError
from databot.types.server_url import UrlRules, read_server_url
from databot.types.tls import OPTIONS as TLS_OPTIONS
from databot.types.tls import SYSTEM, tls_of

BARE = ("postgres://", "postgresql://")
SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg")
SPELLING = "postgres://USER:PASSWORD@HOST:PORT/DATABASE"
RULES = UrlRules(
    setting="dispatch.url",
    spelling=SPELLING,
    port=5432,
    options=("host", "search_path", "schema", *TLS_OPTIONS),
    spellings={"ssl": "sslmode"},
)
DEFAULT_SCHEMA = "databot_dispatch"
SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,29}")
"""Short, for it is part of channel names, which PostgreSQL cuts at 63 bytes."""
CONNECT_TIMEOUT_S = 5
LIVENESS = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
"""A connection whose other end vanished is given up within about ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, a database, a login and the names' common beginning; the password is never shown."""

    host: str
    port: int
    database: str
    user: str | None
    password: str | None = field(repr=False)
    schema: str
    tls: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    def settings(self) -> dict[str, Any]:
        """What psycopg is told for a connection."""
        login = {"user": self.user, "password": self.password}
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            **{name: value for name, value in login.items() if value is not None},
            **self.tls,
            **LIVENESS,
            "tcp_user_timeout": 10_000,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "databot dispatch",
        }


def complete(url: str, storage_url: str) -> str:
    """The URL of dispatch; `postgres://` alone, or with options only, means the database of `storage.url`.

    Raises:
        ConfigError: there is no such database.
    """
    base, _, query = url.partition("?")
    if base not in BARE:
        return url
    if not storage_url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
        raise ConfigError(
            "dispatch.url is postgres:// alone, which means the database of storage.url, and that is not PostgreSQL",
            hint=f"point storage.url at PostgreSQL, or write {SPELLING} in dispatch.url",
        )
    place = storage_url.partition("://")[2]
    mark = "&" if "?" in place.rpartition("@")[2] else "?"
    return f"{BARE[1]}{place}{mark}{query}" if query else f"{BARE[1]}{place}"


def address_of(url: str) -> Address:
    """Read a URL.

    Raises:
        ConfigError: it is not such a URL; the message never repeats it.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES or not rest.partition("?")[0]:
        raise ConfigError("dispatch.url names no PostgreSQL database", hint=f"write {SPELLING}")
    read = read_server_url(url, RULES)
    return Address(
        host=read.options.get("host") or read.host or "localhost",
        port=read.port,
        database=unquote(read.path) or read.user or "postgres",
        user=read.user,
        password=read.password,
        schema=schema_of(read.options),
        tls=encryption_of(read.options),
    )


def schema_of(options: Mapping[str, str]) -> str:
    """The names' beginning: two databots in one database, told apart by `search_path`, do not share their hints."""
    if "schema" not in options:
        path = options.get("search_path", "")
        return f"{DEFAULT_SCHEMA}_{short_hash(path)}" if path else DEFAULT_SCHEMA
    if not SCHEMA.fullmatch(options["schema"]):
        raise ConfigError(
            "the option schema of dispatch.url is not usable",
            hint="up to 30 small letters, digits and _, beginning with a letter",
        )
    return options["schema"]


def encryption_of(options: Mapping[str, str]) -> dict[str, str]:
    """The options of TLS as libpq reads them, with what databot adds of its own said in its words."""
    try:
        tls = tls_of(options)
    except ConfigError as error:
        raise ConfigError(f"dispatch.url: {error.message}", hint=error.hint) from error
    if tls is None:
        return {}  # libpq's own variables, and else `prefer`
    given = {name: options[name] for name in TLS_OPTIONS if name in options}
    given["sslmode"] = tls.mode
    if tls.mode == "verify-full" and tls.root in ("", SYSTEM):
        # The machine's authorities as Python knows them: the libpq of psycopg's wheels looks where it was built.
        given["sslrootcert"] = ssl.get_default_verify_paths().cafile or SYSTEM
    return given


def short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
