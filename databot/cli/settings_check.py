"""What is wrong with a valid configuration: names that point nowhere, options a connector or channel does not take.

It builds connectors and channels and opens none of them.
"""

from collections.abc import Callable, Iterator

from databot.config.settings import Settings
from databot.types.errors import ConfigError, describe


def problems(settings: Settings) -> list[str]:
    """One line a problem, each with the path of the key."""
    return [
        *connector_problems(settings),
        *channel_problems(settings),
        *unknown_connectors(settings),
        *unknown_tools(settings),
        *missing_sources(settings),
    ]


def connector_problems(settings: Settings) -> Iterator[str]:
    if not settings.connectors:
        return
    from databot.app.sources import load_all_plugins
    from databot.connectors.factory import create_connector

    kinds = load_all_plugins(settings).classes("databot.connectors")
    for name, options in settings.connectors.items():
        yield from problem_of(lambda n=name, o=options: create_connector(n, o, kinds))


def channel_problems(settings: Settings) -> Iterator[str]:
    if not settings.channels:
        return
    from databot.app.doors import build_channel
    from databot.app.sources import load_all_plugins

    plugins = load_all_plugins(settings)
    for name, options in settings.channels.items():
        yield from problem_of(lambda n=name, o=options: build_channel(n, o, plugins))


def problem_of(build: Callable[[], object]) -> Iterator[str]:
    """What building something says against its configuration."""
    try:
        build()
    except ConfigError as error:
        yield describe(error)


def unknown_connectors(settings: Settings) -> Iterator[str]:
    for bot, section in settings.bots.items():
        for name in section.connectors:
            if name not in settings.connectors:
                yield f"bots.{bot}.connectors: there is no connector {name!r}"


def unknown_tools(settings: Settings) -> Iterator[str]:
    from databot.app.sources import load_all_plugins
    from databot.app.toolsets import check_tool_names

    yield from problem_of(lambda: check_tool_names(settings, load_all_plugins(settings)))


def missing_sources(settings: Settings) -> Iterator[str]:
    for path in settings.rag.sources:
        if not path.expanduser().exists():
            yield f"rag.sources: {path} does not exist"
