"""The contract of channels: adapters to the places where people talk.

A channel turns its platform's events into `InboundMessage`s and delivers `OutboundMessage`s. It knows no bus, no
model and no store: it is handed a `publish` function and whole replies.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from databot.types.messages import InboundMessage, OutboundMessage

Publish = Callable[[InboundMessage], Awaitable[str]]
"""Commits a message and gives the id of its turn; only then may the platform be acknowledged."""


class ChannelConfig(BaseModel):
    """Options every channel has; each channel subclasses it beside its own class."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    bot_id: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the platform can do; `max_length` in characters of one message."""

    streaming: bool = False
    threads: bool = False
    files: bool = False
    max_length: int = 100_000


class BaseChannel(ABC):
    """An adapter to one place. `run` lives as long as the daemon; an error in it restarts this channel only."""

    name: ClassVar[str]
    Config: ClassVar[type[ChannelConfig]] = ChannelConfig

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - an instance of Config
        self.config = config

    def capabilities(self) -> Capabilities:
        """What this place can do."""
        return Capabilities()

    @abstractmethod
    async def run(self, publish: Publish) -> None:
        """Receive until cancelled."""

    @abstractmethod
    async def send(self, message: OutboundMessage) -> None:
        """Deliver one whole reply."""
