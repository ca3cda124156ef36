"""What is wrong with a valid configuration: names that point nowhere, options a connector does not take. Opens nothing."""

from collections.abc import Iterator

from databot.config.settings import Settings


def problems(settings: Settings) -> list[str]:
    """One line a problem, each with the path of the key."""
    return [*unknown_connectors(settings), *missing_sources(settings)]


def unknown_connectors(settings: Settings) -> Iterator[str]:
    for bot, section in settings.bots.items():
        for name in section.connectors:
            if name not in settings.connectors:
                yield f"bots.{bot}.connectors: there is no connector {name!r}"


def missing_sources(settings: Settings) -> Iterator[str]:
    for path in settings.rag.sources:
        if not path.expanduser().exists():
            yield f"rag.sources: {path} does not exist"
