"""Builds what stands at the doors: channels, the hub that runs them, and turn middleware."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from databot.channels.base import BaseChannel
from databot.channels.hub import ChannelHub
from databot.config.problems import explain
from databot.config.settings import Settings
from databot.core.assembly import RunningEngine
from databot.core.bus import Happened
from databot.middleware.base import TurnMiddleware
from databot.observability.logs import current_turn
from databot.observability.turns import TurnLog
from databot.plugins.loader import Plugins
from databot.types.clock import Clock
from databot.types.errors import ConfigError
from databot.types.events import StreamEvent, TurnStarted
from databot.types.messages import InboundMessage, Turn

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

REPLIES_WAITING = 10_000
"""Far more than come together while a channel that takes nothing has its three tries."""


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


def connect_channels(running: RunningEngine, hub: ChannelHub) -> None:
    """Let the channels publish, and hand them their replies: in order in a conversation, in the channel's own time."""

    async def publish(message: InboundMessage) -> str:
        return (await running.engine.publish(message)).turn_id

    async def deliver(turn: Turn, event: StreamEvent) -> None:
        current_turn.set(turn.id)
        await hub.on_event(turn, event)

    if not hub.names():
        return
    running.supervisor.spawn(hub.run(publish), name="channels")
    running.bus.subscribe_async(
        deliver,
        name="delivery to the channels",
        only=lambda happened: hub.wants(happened.turn, happened.event),
        capacity=REPLIES_WAITING,
    )


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
