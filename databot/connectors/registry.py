"""The configured connectors, the dead ones included.

A connector that cannot be built is listed as down with the reason, and asking for it says so; the daemon starts and the
others work. The registry knows no engine and no entry point.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from databot.connectors.base import (
    BaseConnector,
    ConnectorStatus,
    Health,
    HealthState,
    SqlSource,
)
from databot.connectors.factory import create_connector
from databot.types.errors import (
    ConfigError,
    ConnectorError,
    DatabotError,
    MissingExtra,
    describe,
    shorten,
)

logger = logging.getLogger(__name__)
LOOK_TIMEOUT_S = 6.0
"""A connector's own bound is 5 s; this one holds for those that break it."""
CLOSE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A configured connector: `connector`, or the `problem` why there is none.

    `mistaken` says that the configuration is wrong, and not the machine it runs on.
    """

    name: str
    type: str
    connector: BaseConnector | None = None
    problem: str = ""
    mistaken: bool = False


class ConnectorRegistry:
    """Implements `Connectors`; owns the connectors and closes them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {entry.name: entry for entry in entries}

    @classmethod
    def from_options(
        cls,
        options: Mapping[str, Mapping[str, Any]],
        kinds: Mapping[str, type[BaseConnector]],
    ) -> Self:
        """Build all that can be built; opens nothing and raises nothing for a connector that cannot."""
        return cls([make_entry(name, chosen, kinds) for name, chosen in options.items()])

    def names(self) -> Sequence[str]:
        return tuple(self._entries)

    def problems(self) -> Mapping[str, str]:
        """Why there is no connector, for those that could not be built."""
        return {entry.name: entry.problem for entry in self._entries.values() if entry.problem}

    def mistakes(self) -> Sequence[Entry]:
        """Those the configuration describes wrongly: no such type, key or value."""
        return [entry for entry in self._entries.values() if entry.mistaken]

    def get(self, name: str) -> BaseConnector:
        entry = self._entries.get(name)
        if entry is None:
            raise ConnectorError(
                f"there is no connector {shorten(name)!r}",
                kind="not_found",
                hint=f"the connectors are: {', '.join(self._entries) or 'none is configured'}",
            )
        if entry.connector is None:
            raise ConnectorError(
                f"the connector {name!r} is down: {entry.problem}",
                kind="unavailable",
                connector=name,
            )
        return entry.connector

    def sql(self) -> Mapping[str, SqlSource]:
        return {
            name: entry.connector
            for name, entry in self._entries.items()
            if isinstance(entry.connector, SqlSource)
        }

    async def statuses(self) -> Sequence[ConnectorStatus]:
        """The health of all, side by side, each within `LOOK_TIMEOUT_S`."""
        return await asyncio.gather(*(status_of(entry) for entry in self._entries.values()))

    async def aclose(self) -> None:
        """Close all side by side; one that does not close in time is left behind."""
        connectors = [entry.connector for entry in self._entries.values() if entry.connector]
        await asyncio.gather(*(close(connector) for connector in connectors))


def make_entry(
    name: str, options: Mapping[str, Any], kinds: Mapping[str, type[BaseConnector]]
) -> Entry:
    kind = str(options.get("type", ""))
    try:
        return Entry(name=name, type=kind, connector=create_connector(name, options, kinds))
    except DatabotError as error:
        mistaken = isinstance(error, ConfigError) and not isinstance(error, MissingExtra)
        return Entry(name=name, type=kind, problem=describe(error), mistaken=mistaken)
    except Exception as error:  # boundary: building a connector, whose class may be a plugin's
        return Entry(name=name, type=kind, problem=f"its plugin failed: {type(error).__name__}")


async def status_of(entry: Entry) -> ConnectorStatus:
    connector = entry.connector
    if connector is None:
        health = Health(state=HealthState.DOWN, detail=entry.problem)
    else:
        health = await look_at(connector)
    return ConnectorStatus(name=entry.name, type=entry.type, health=health, connector=connector)


async def look_at(connector: BaseConnector) -> Health:
    """Its health; a connector that breaks its promise never to raise, or to hurry, is down."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await connector.health()
    except TimeoutError:
        return Health(state=HealthState.DOWN, detail=f"no answer within {LOOK_TIMEOUT_S:g} s")
    except Exception as error:  # boundary: health of one connector, whose class may be a plugin's
        return Health(state=HealthState.DOWN, detail=f"its check failed: {describe(error)}")


async def close(connector: BaseConnector) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connector.aclose()
    except Exception:  # boundary: closing one connector, whose class may be a plugin's
        logger.warning("the connector %r did not close", connector.name, exc_info=True)
