"""Builds what stands at the doors: channels, the hub that runs them, and turn middleware."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from databot.channels.base import BaseChannel, Outbox
from databot.channels.deliveries import delivery_of
from databot.channels.hub import ChannelHub
from databot.channels.outbox import OutboxWorker
from databot.config.problems import explain
from databot.config.settings import Settings
from databot.core.assembly import RunningEngine
from databot.core.bus import Happened
from databot.core.pipeline import Deliver
from databot.middleware.base import TurnMiddleware
from databot.observability.logs import current_turn
from databot.observability.turns import TurnLog
from databot.plugins.loader import Plugins
from databot.types.clock import Clock
from databot.types.errors import ConfigError
from databot.types.events import TurnStarted
from databot.types.messages import InboundMessage

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def build_hub(
    settings: Settings,
    plugins: Plugins,
    clock: Clock,
    given: Mapping[str, BaseChannel] | None = None,
) -> ChannelHub:
    """The hub over the configured channels, or over those a caller brought along."""
    if given is not None:
        return ChannelHub(given, clock)
    channels = {
        name: build_channel(name, options, plugins) for name, options in settings.channels.items()
    }
    return ChannelHub(channels, clock)


def build_channel(name: str, options: Mapping[str, Any], plugins: Plugins) -> BaseChannel:
    """One channel. Raises `ConfigError` when there is none of that name or its options are wrong."""
    kind = cast("type[BaseChannel] | None", plugins.get("databot.channels", name))
    if kind is None:
        known = ", ".join(plugins.names("databot.channels")) or "none is installed"
        raise ConfigError(f"channels.{name}: there is no such channel; the channels are: {known}")
    try:
        return kind(kind.Config.model_validate(dict(options)))
    except ValidationError as error:
        raise ConfigError(explain(error, kind.Config, f"channels.{name}")) from error


def connect_channels(
    running: RunningEngine, hub: ChannelHub, outbox: Outbox, clock: Clock, *, worker: str
) -> None:
    """Let the channels publish, and empty the outbox into them; `worker` names this process in its claims."""
    if not hub.names():
        return
    deliveries = OutboxWorker(hub.channels, outbox, clock, worker=worker)

    async def publish(message: InboundMessage) -> str:
        return (await running.engine.publish(message)).turn_id

    async def run() -> None:
        # The channels outlive the deliveries, which take a few seconds more when they are told to stop.
        async with asyncio.TaskGroup() as group:
            channels = group.create_task(hub.run(publish), name="running channels")
            try:
                await deliveries.run()
            finally:
                channels.cancel()

    def wake(happened: Happened) -> None:
        if hub.wants(happened.turn, happened.event):
            deliveries.wake(happened.turn.message.channel)

    running.supervisor.spawn(run(), name="channels")
    running.bus.subscribe(wake)


def deliver_to(hub: ChannelHub) -> Deliver:
    """What the end of a turn puts in the outbox for these channels (`PipelineOptions.deliver`)."""
    return partial(delivery_of, channels=frozenset(hub.names()))


def connect_logs(running: RunningEngine) -> None:
    """Let every log line of a turn's work name the turn, and each turn have a line of its own.

    A turn's task tells that it has started before all else.
    """
    turns = TurnLog()

    def note(happened: Happened) -> None:
        if isinstance(happened.event, TurnStarted):
            current_turn.set(happened.turn.id)
        turns.note(happened.turn, happened.event)

    running.bus.subscribe(note)


def build_middleware(
    settings: Settings, plugins: Plugins, tracer: "Tracer | None"
) -> list[TurnMiddleware]:
    """The middleware the configuration names, outermost first, inside the tracing of the turn."""
    chain: list[TurnMiddleware] = []
    if tracer is not None:
        from databot.observability.tracing import TurnSpans

        chain.append(TurnSpans(tracer))
    for name in settings.middleware:
        kind = plugins.get("databot.middleware", name)
        if kind is None:
            known = ", ".join(plugins.names("databot.middleware")) or "none is installed"
            raise ConfigError(f"middleware: there is no {name!r}; there are: {known}")
        chain.append(cast("TurnMiddleware", kind()))
    return chain
