"""Fakes and fixtures, shipped for plugin authors.

The names are loaded on first use: pytest imports this package in every run of everyone who has databot installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databot.testing.channel import MemoryChannel as MemoryChannel
    from databot.testing.clock import FakeClock as FakeClock
    from databot.testing.clock import SequentialIds as SequentialIds
    from databot.testing.memory_log import MemoryLog as MemoryLog
    from databot.testing.memory_store import MemoryArtifactStore as MemoryArtifactStore
    from databot.testing.memory_store import MemoryKeyValue as MemoryKeyValue
    from databot.testing.model_server import ModelServer as ModelServer
    from databot.testing.running import running_databot as running_databot
    from databot.testing.scripted import ScriptedProvider as ScriptedProvider
    from databot.testing.scripted import calling as calling

HOMES = {
    "FakeClock": "clock",
    "MemoryArtifactStore": "memory_store",
    "MemoryChannel": "channel",
    "MemoryKeyValue": "memory_store",
    "MemoryLog": "memory_log",
    "ModelServer": "model_server",
    "ScriptedProvider": "scripted",
    "SequentialIds": "clock",
    "calling": "scripted",
    "running_databot": "running",
}
"""Which module each name lives in."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
