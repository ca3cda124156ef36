"""The configured connectors: one that is dead is told, and never stops the others."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from databot.connectors.base import (
    BaseConnector,
    CallContext,
    ConnectorConfig,
    Connectors,
    Health,
    HealthState,
    Operation,
)
from databot.connectors.registry import ConnectorRegistry, look_at
from databot.connectors.sql.connector import SQLConnector
from databot.types.errors import ConnectorError
from tests.connectors.databases import Shop


class Odd(BaseConnector):
    """A plugin that does what `config.mood` says."""

    class Config(ConnectorConfig):
        mood: str = "well"

    kind: ClassVar[str] = "odd"

    def __init__(self, name: str, config: Any) -> None:  # noqa: ANN401 - its Config
        super().__init__(name, config)
        self.closed = 0
        if config.mood == "unborn":
            raise LookupError("bug with s3cret inside")

    def operations(self) -> Sequence[Operation]:
        return ()

    async def execute(
        self, operation: str, arguments: Mapping[str, Any], context: CallContext
    ) -> Any:  # noqa: ANN401 - the contract's
        raise NotImplementedError

    async def health(self) -> Health:
        if self.config.mood == "raising":
            raise LookupError("bug with s3cret inside")
        if self.config.mood == "silent":
            await asyncio.Event().wait()
        return Health(state=HealthState.OK)

    async def aclose(self) -> None:
        self.closed += 1
        if self.config.mood == "stuck":
            raise OSError("cannot close")


KINDS: Mapping[str, type[BaseConnector]] = {"sql": SQLConnector, "odd": Odd}


def registry(**options: dict[str, Any]) -> ConnectorRegistry:
    return ConnectorRegistry.from_options(options, KINDS)


async def test_connectors_keep_the_order_of_the_configuration(sqlite_shop: Shop) -> None:
    found: Connectors = registry(
        z={"type": "odd"}, shop={"type": "sql", "url": sqlite_shop.url}, a={"type": "odd"}
    )
    assert list(found.names()) == ["z", "shop", "a"]
    assert list(found.sql()) == ["shop"]
    assert found.get("shop") is found.sql()["shop"]


async def test_one_that_cannot_be_built_is_down_and_the_others_work(sqlite_shop: Shop) -> None:
    found = registry(
        broken={"type": "sql", "url": "oracle://a:s3cret@h/d"},
        unborn={"type": "odd", "mood": "unborn"},
        typo={"type": "sql", "urll": "s3cret"},
        gone={"type": "sql", "url": "sqlite:////no/such.db"},
        raising={"type": "odd", "mood": "raising"},
        shop={"type": "sql", "url": sqlite_shop.url},
    )
    statuses = {status.name: status for status in await found.statuses()}
    assert {name: status.health.state.value for name, status in statuses.items()} == {
        "broken": "down", "unborn": "down", "typo": "down", "gone": "down", "raising": "down", "shop": "ok",
    }  # fmt: skip
    assert all(status.health.detail for status in statuses.values())
    assert "s3cret" not in repr([status.health for status in statuses.values()])
    assert statuses["broken"].connector is None
    assert list(found.sql()) == ["gone", "shop"]
    with pytest.raises(ConnectorError, match=r"the connector 'typo' is down: .*urll") as caught:
        found.get("typo")
    assert caught.value.kind == "unavailable"
    await found.aclose()


def test_an_unknown_name_is_told_with_those_that_exist() -> None:
    with pytest.raises(ConnectorError, match="there is no connector 'x'") as caught:
        registry(a={"type": "odd"}, b={"type": "odd"}).get("x")
    assert (caught.value.kind, caught.value.hint) == ("not_found", "the connectors are: a, b")
    with pytest.raises(ConnectorError) as empty:
        registry().get("x")
    assert "none is configured" in empty.value.hint


async def test_a_connector_that_never_answers_is_down_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("databot.connectors.registry.LOOK_TIMEOUT_S", 0.05)
    health = await look_at(registry(a={"type": "odd", "mood": "silent"}).get("a"))
    assert (health.state, health.detail) == (HealthState.DOWN, "no answer within 0.05 s")


async def test_closing_closes_all_even_when_one_fails() -> None:
    found = registry(a={"type": "odd", "mood": "stuck"}, b={"type": "odd"}, c={"type": "nosuch"})
    await found.aclose()
    first, second = found.get("a"), found.get("b")
    assert isinstance(first, Odd)
    assert isinstance(second, Odd)
    assert (first.closed, second.closed) == (1, 1)
