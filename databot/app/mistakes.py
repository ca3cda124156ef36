"""What is wrong with a configuration that reads well: everything a start refuses and can know without opening anything.

The start itself and `databot config check` ask here, so that the one never says ok to what the other refuses. Each look
is the function that builds the part, or the part of it that opens nothing.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from databot.app.data_dir import check_data_dir
from databot.app.doors import build_channel, build_middleware
from databot.app.memories import memory_strategy
from databot.app.models import check_provider
from databot.app.sources import build_connectors
from databot.app.toolsets import check_connector_names, check_tool_names
from databot.config.settings import Settings
from databot.dispatch.open import MEMORY, complete
from databot.dispatch.open import POSTGRES as DISPATCH_POSTGRES
from databot.dispatch.open import REDIS as DISPATCH_REDIS
from databot.dispatch.open import check_url as check_dispatch_url
from databot.plugins.loader import Plugins
from databot.storage.open import POSTGRES, check_url
from databot.types.errors import ConfigError, MissingExtra, describe

EXPORTER = "opentelemetry.exporter.otlp.proto.http"
PROCRASTINATE = ("procrastinate", "psycopg", "psycopg_pool")


def refuse_mistakes(settings: Settings, plugins: Plugins) -> None:
    """Raises `ConfigError` that names all of them."""
    found = list(dict.fromkeys(mistakes(settings, plugins)))
    if found:
        raise ConfigError("; ".join(found))


def mistakes(settings: Settings, plugins: Plugins) -> Iterator[str]:
    """One line a mistake, each with the path of the key."""
    for look in looks(settings, plugins):
        try:
            look()
        except ConfigError as error:
            yield describe(error)


def looks(settings: Settings, plugins: Plugins) -> Iterator[Callable[[], object]]:
    """Each raises `ConfigError` for what it does not like."""
    yield lambda: check_data_dir(settings.data_dir)
    yield lambda: check_url(settings.storage_url())
    yield lambda: check_dispatch(settings)
    yield lambda: check_tool_names(settings, plugins)
    yield lambda: check_provider(settings, plugins)
    yield lambda: memory_strategy(settings, plugins)
    yield lambda: build_middleware(settings, plugins, None)
    for name, options in settings.channels.items():
        yield lambda n=name, o=options: build_channel(n, o, plugins)
    yield lambda: build_connectors(settings, plugins)
    yield lambda: check_connector_names(settings)
    yield lambda: check_extras(settings)


def check_dispatch(settings: Settings) -> None:
    """Raises `ConfigError` for an engine that cannot be used, or that joins what nobody shares."""
    url = settings.dispatch.url.get_secret_value()
    storage = settings.storage_url()
    if not url.startswith(MEMORY) and not storage.startswith(POSTGRES):
        raise ConfigError(
            "dispatch.url joins replicas, and storage.url is an SQLite file, which only one daemon can have",
            hint="set dispatch.url to memory://, or point storage.url at PostgreSQL",
        )
    check_dispatch_url(complete(url, storage))


def check_extras(settings: Settings) -> None:
    """Raises `MissingExtra` for what is configured and not installed."""
    if settings.storage_url().startswith(POSTGRES) and not is_installed("asyncpg"):
        raise MissingExtra("storage in PostgreSQL", extra="postgres")
    dispatch = settings.dispatch.url.get_secret_value()
    if dispatch.startswith(DISPATCH_REDIS) and not is_installed("redis"):
        raise MissingExtra("dispatch through Redis", extra="redis")
    if dispatch.startswith(DISPATCH_POSTGRES) and not all(map(is_installed, PROCRASTINATE)):
        raise MissingExtra("dispatch through PostgreSQL", extra="procrastinate")
    if settings.observability.otlp_endpoint and not is_installed(EXPORTER):
        raise MissingExtra("tracing", extra="otel")


def is_installed(module: str) -> bool:
    """Whether it could be imported; only what it lies in is."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
