"""Which driver serves which URL; a driver's module, and with it the vendor's client, is loaded only when it is needed."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from databot.connectors.sql.driver import Driver, Target
from databot.types.errors import ConfigError, MissingExtra


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where a driver is: `requires` is the client's import name, `extra` what installs it."""

    module: str
    driver: str
    title: str
    requires: str
    extra: str


ENGINES = {
    "sqlite": Engine(
        module="sqlite", driver="SqliteDriver", title="SQLite", requires="sqlite3", extra=""
    ),
    "duckdb": Engine(
        module="duckdb", driver="DuckdbDriver", title="DuckDB", requires="duckdb", extra="duckdb"
    ),
    "postgres": Engine(
        module="postgres",
        driver="PostgresDriver",
        title="PostgreSQL",
        requires="asyncpg",
        extra="postgres",
    ),
    "mysql": Engine(
        module="mysql",
        driver="MysqlDriver",
        title="MySQL and MariaDB",
        requires="asyncmy",
        extra="mysql",
    ),
    "sqlalchemy": Engine(
        module="sqlalchemy",
        driver="SqlAlchemyDriver",
        title="SQLAlchemy",
        requires="sqlalchemy",
        extra="all",
    ),
}


def make_driver(target: Target, *, allow_unverified: bool) -> Driver:
    """The driver of a URL; opens nothing.

    Raises:
        MissingExtra: the client is not installed.
        ConfigError: an option of the URL is unknown, or the engine cannot be held read-only and nobody allowed that.
    """
    engine = ENGINES[target.address.engine]
    if not installed(engine.requires):
        raise MissingExtra(f"connecting to {engine.title}", extra=engine.extra)
    if target.address.engine == "sqlalchemy" and target.read_only and not allow_unverified:
        raise ConfigError(
            f"databot cannot make {target.address.scheme.partition('+')[0]} itself refuse writes",
            hint="give it a user that may only read and set allow_unverified_read_only: true",
        )
    module = import_module(f"databot.connectors.sql.drivers.{engine.module}")
    build: Callable[[Target], Driver] = getattr(module, engine.driver)
    return build(target)


def installed(module: str) -> bool:
    """Whether it can be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False
