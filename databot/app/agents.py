"""Builds the agents of one bot: its specialists, each a loop with only its tools, behind a router."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from databot.agents.base import Agent, Router
from databot.agents.delegator import Delegator
from databot.agents.presets import GENERAL, PRESETS
from databot.agents.router import ModelRouter, RuleRouter
from databot.agents.specialist import Specialist
from databot.config.sections import BotSection, SpecialistSection
from databot.config.settings import Settings
from databot.core.context import ContextBuilder, Persona
from databot.core.loop import AgentLoop, LoopOptions
from databot.gateway.base import AgentInfo
from databot.memory.base import ConversationMemory
from databot.providers.base import LLMProvider
from databot.rag.base import PromptEnricher
from databot.tools.base import Toolset
from databot.tools.guards import Allowed
from databot.tools.numbers import unsupported_figures
from databot.types.clock import Clock
from databot.types.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """What every loop thinks with."""

    provider: LLMProvider
    model: str
    deterministic: bool
    clock: Clock
    memory: ConversationMemory
    enricher: PromptEnricher | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotAgents:
    """The agents of a bot: the one that answers, and what there is to know about each."""

    agent: Agent
    infos: tuple[AgentInfo, ...]


def build_agents(settings: Settings, bot: BotSection, tools: Toolset, mind: Mind) -> BotAgents:
    """The bot's delegator over its active specialists."""
    existing = [spec.name for spec in tools.specs()]
    specialists = configured_specialists(settings)
    active = [item for item in specialists if item.is_active(existing)]
    if not active:
        raise ConfigError(
            "agents.specialists: none is enabled and has its tools",
            hint="enable `general`, which needs none",
        )
    loops = {
        item.name: build_loop(settings, bot, item, Allowed(tools, item.scope(existing)), mind)
        for item in active
    }
    router = build_router(settings, active, mind)
    infos = tuple(
        AgentInfo(
            name=item.name,
            description=item.description,
            active=item in active,
            tools=tuple(sorted(item.scope(existing))),
            model=item.model or mind.model,
        )
        for item in specialists
    )
    return BotAgents(agent=Delegator(router, loops, fallback=active[-1].name), infos=infos)


def build_loop(
    settings: Settings, bot: BotSection, specialist: Specialist, tools: Toolset, mind: Mind
) -> AgentLoop:
    """One specialist's loop."""
    agent, llm = settings.agent, settings.llm
    return AgentLoop(
        specialist.name,
        mind.provider,
        tools,
        ContextBuilder(
            mind.clock,
            budget_tokens=agent.context_tokens,
            memory=mind.memory,
            enricher=mind.enricher,
        ),
        options=LoopOptions(
            model=specialist.model or mind.model,
            max_iterations=agent.max_iterations,
            max_output_tokens=llm.max_output_tokens,
            temperature=llm.temperature,
            timeout_s=llm.timeout_s,
        ),
        persona=Persona(
            bot_name=bot.name, bot_prompt=bot.system_prompt, agent_prompt=specialist.prompt
        ),
        check_figures=unsupported_figures,
    )


def build_router(settings: Settings, active: Sequence[Specialist], mind: Mind) -> Router:
    """Rules alone, or rules and then the model; the offline analyst classifies nothing."""
    rules = RuleRouter(active)
    if settings.agents.router == "rules" or mind.deterministic:
        return rules
    return ModelRouter(rules, active, mind.provider, mind.model)


def configured_specialists(settings: Settings) -> list[Specialist]:
    """The presets as the configuration changes them, then the ones it adds; the general one comes last."""
    if not settings.agents.enabled:
        return [GENERAL]
    changes = settings.agents.specialists
    presets = {item.name: item for item in PRESETS}
    added = {name: new_specialist(name) for name in changes if name not in presets}
    general = presets.pop(GENERAL.name)
    return [
        changed(item, changes.get(name, SpecialistSection()))
        for name, item in {**presets, **added, general.name: general}.items()
        if name not in changes or changes[name].enabled
    ]


def new_specialist(name: str) -> Specialist:
    """A specialist of the operator's own: claimed by its name until it is forced."""
    return Specialist(
        name=name, description=name, prompt="", tools=frozenset(), marks=(name.replace("_", " "),)
    )


def changed(item: Specialist, section: SpecialistSection) -> Specialist:
    """`item` with what the section says."""
    tools = item.tools if section.tools is None else frozenset(section.tools)
    return replace(
        item,
        description=item.description if section.description is None else section.description,
        prompt=item.prompt if section.prompt is None else section.prompt,
        tools=tools,
        needs=item.needs if section.tools is None else tools,
        model=section.model or item.model,
    )
