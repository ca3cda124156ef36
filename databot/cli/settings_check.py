"""What `databot config check` and the doctor say of a valid configuration: what a start would refuse, and what it bears.

It opens nothing.
"""

from collections.abc import Iterator

from databot.config.settings import Settings
from databot.types.errors import ConfigError, describe


def problems(settings: Settings) -> list[str]:
    """One line a problem, each with the path of the key."""
    return list(dict.fromkeys([*refused(settings), *borne(settings)]))


def refused(settings: Settings) -> Iterator[str]:
    """What keeps the gateway from starting."""
    from databot.app.gateway import gateway_options
    from databot.app.mistakes import mistakes
    from databot.app.sources import load_all_plugins
    from databot.gateway.app import check_options

    yield from mistakes(settings, load_all_plugins(settings))
    try:
        check_options(gateway_options(settings))
    except ConfigError as error:
        yield describe(error)


def borne(settings: Settings) -> Iterator[str]:
    """What it starts without, and would rather have."""
    for path in settings.rag.sources:
        if not path.expanduser().exists():
            yield f"rag.sources: {path} does not exist"
    yield from unusable_connectors(settings)


def unusable_connectors(settings: Settings) -> Iterator[str]:
    """Those whose client is not installed here, or whose plugin is broken."""
    from databot.app.sources import build_connectors, load_all_plugins

    try:
        registry = build_connectors(settings, load_all_plugins(settings))
    except ConfigError:  # told above
        return
    for name, problem in registry.problems().items():
        yield f"connectors.{name}: {problem}"
