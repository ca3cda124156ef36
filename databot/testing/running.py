"""A whole databot for a test: every room real, in a folder of its own, with a model that says what the test wants."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from databot.app.build import Overrides, build
from databot.app.daemon import Databot
from databot.config.settings import Settings
from databot.config.sources import merge
from databot.providers.base import LLMProvider


@asynccontextmanager
async def running_databot(
    settings: Mapping[str, Any] | None = None,
    *,
    provider: LLMProvider | None = None,
    data_dir: Path | None = None,
    **overrides: Any,  # noqa: ANN401 - the keys of Overrides
) -> AsyncGenerator[Databot]:
    """A running databot; its data is gone afterwards unless `data_dir` names a place for it.

    `settings` are configuration values as in `config.yaml`; without `provider` the offline analyst answers. Retrieval
    is off unless the settings switch it on. `overrides` replace parts, as in `build`.
    """
    with TemporaryDirectory(prefix="databot-test-") as scratch:
        base: dict[str, Any] = {
            "data_dir": str(data_dir or scratch),
            "llm": {"model": "offline"},
            "rag": {"enabled": False},
        }
        parts: Overrides = {**overrides}  # type: ignore[typeddict-item] - checked by build
        if provider is not None:
            parts["provider"] = provider
        async with build(Settings.parse(merge(base, settings or {})), **parts) as bot:
            yield bot
