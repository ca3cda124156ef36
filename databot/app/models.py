"""Builds the language model: which one answers, why, and how to have another."""

import os
from dataclasses import dataclass
from typing import Any, cast

from databot.config.settings import Settings
from databot.plugins.loader import Plugins
from databot.providers.address import parsed_base
from databot.providers.base import LLMProvider
from databot.providers.kinds import BUILT_IN, ProviderKind
from databot.providers.make import Models, Plan, make_provider
from databot.providers.select import HOW, Wanted, choose
from databot.types.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model answers. `deterministic` means it is the offline analyst and no language model."""

    model: str
    reason: str
    how_to_change: str = HOW
    deterministic: bool = False
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """The choice in one line."""
        return f"{self.model} ({self.reason})"


def load_litellm() -> Any:  # noqa: ANN401 - LiteLLM has no usable types
    """LiteLLM as the providers prepare it, for whoever else asks a vendor. Raises `MissingExtra`."""
    from databot.providers.litellm import imported

    return imported()


async def build_provider(
    settings: Settings, plugins: Plugins, clock: Clock
) -> tuple[LLMProvider, ModelChoice]:
    """The configured model with its fallbacks; nothing is called yet. Raises `ConfigError`."""
    models = await make_provider(make_plan(settings, plugins, clock))
    choice = models.choice
    return models, ModelChoice(
        model=choice.model,
        reason=choice.reason,
        how_to_change=choice.how_to_change,
        deterministic=choice.kind == "offline",
        notes=choice.notes,
    )


def check_provider(settings: Settings, plugins: Plugins) -> None:
    """Refuse what `build_provider` refuses, without looking for models that run. Raises `ConfigError`."""
    plan = make_plan(settings, plugins, SystemClock())
    if plan.wanted.api_base:
        parsed_base(plan.wanted.api_base)
    choice = choose(plan.wanted, environ=plan.environ, kinds=plan.kinds)
    if choice.kind != "offline":
        Models(plan, choice)


def make_plan(settings: Settings, plugins: Plugins, clock: Clock) -> Plan:
    """How the configuration wants models reached."""
    llm = settings.llm
    return Plan(
        wanted=Wanted(
            model=llm.model, api_base=llm.api_base, api_key=llm.api_key.get_secret_value()
        ),
        clock=clock,
        environ=os.environ,
        fallbacks=llm.fallbacks,
        reasoning=settings.agent.reasoning,
        kinds={"litellm": BUILT_IN["litellm"], **plugin_kinds(plugins)},
    )


def plugin_kinds(plugins: Plugins) -> dict[str, ProviderKind]:
    """The provider classes plugins add; the built-in ones are known without being imported."""
    added = [name for name in plugins.names("databot.providers") if name not in BUILT_IN]
    found = {name: plugins.get("databot.providers", name) for name in added}
    return {name: cast("ProviderKind", kind) for name, kind in found.items() if kind is not None}
