"""Putting the model together: choose it, reach it, try again, fall back, spell tools out.

The one place that knows all provider kinds and wrappers. It is given plain values and knows no configuration.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from databot.providers.address import parsed_base
from databot.providers.base import LLMProvider
from databot.providers.discover import ollama_models, served_models
from databot.providers.kinds import BUILT_IN, ProviderKind
from databot.providers.react import ReactProvider
from databot.providers.resilient import Candidate, FallbackProvider, Patience
from databot.providers.select import Choice, Wanted, choose, ollama_wanted
from databot.providers.vendors import vendor_of
from databot.types.chat import ChatChunk, ChatReply, ChatRequest
from databot.types.clock import Clock

Reasoning = Literal["auto", "simple", "react"]
ADDRESSLESS = frozenset({"openai", "custom_openai", "hosted_vllm", "vllm", "litellm_proxy"})
"""Prefixes that mean "the server at `api_base`" once that is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How models are reached, whichever is asked for.

    `fallbacks` are model ids tried in order; `kinds` are provider entry points by name, in addition to the built-in
    ones; `environ` holds the vendors' keys.
    """

    wanted: Wanted
    clock: Clock
    environ: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    fallbacks: Sequence[str] = ()
    reasoning: Reasoning = "auto"
    kinds: Mapping[str, ProviderKind] = field(default_factory=dict[str, ProviderKind])
    patience: Patience = field(default_factory=Patience)


class Models(LLMProvider):
    """Every model one configuration can name, behind one provider.

    `choice` is the model that serves when a request names it, `auto` or nothing; any other model id is resolved when
    it is first asked for. Models at one vendor share one client. Raises `ConfigError` when a model cannot be reached
    at all (a broken address, a missing extra).
    """

    def __init__(self, plan: Plan, choice: Choice) -> None:
        self.choice = choice
        self.name = f"{choice.model} ({choice.kind})"
        self._plan = plan
        self._clients: dict[tuple[str, str | None, str, str], LLMProvider] = {}
        self._models: dict[str, LLMProvider] = {}
        self._models[""] = self._models["auto"] = self._models[choice.model] = self._chain(choice)

    async def chat(self, request: ChatRequest) -> ChatReply:
        return await self._model(request.model).chat(request)

    def chat_stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        return self._model(request.model).chat_stream(request)

    def warm(self) -> None:
        self._models[""].warm()

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    def _model(self, model: str) -> LLMProvider:
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = self._chain(self._named(model))
        return known

    def _named(self, model: str) -> Choice:
        wanted = wanted_for(model, self._plan.wanted)
        return choose(wanted, environ=self._plan.environ, kinds=self._plan.kinds)

    def _chain(self, choice: Choice) -> LLMProvider:
        """The model and its fallbacks, each spelling tools out where it has to."""
        plan = self._plan
        if choice.kind == "offline":
            return self._client(choice)
        choices = [choice]
        choices += [self._named(model) for model in plan.fallbacks if model != choice.model]
        candidates = [Candidate(self._reasoning(one), one.wire_model) for one in choices]
        return FallbackProvider(candidates, clock=plan.clock, patience=plan.patience)

    def _reasoning(self, choice: Choice) -> LLMProvider:
        client = self._client(choice)
        if self._plan.reasoning == "simple" or choice.kind == "offline":
            return client
        return ReactProvider(client, mode=self._plan.reasoning)

    def _client(self, choice: Choice) -> LLMProvider:
        key = (choice.kind, choice.api_base, choice.api_key, choice.vendor)
        if key not in self._clients:
            make = self._plan.kinds.get(choice.kind) or BUILT_IN[choice.kind]
            self._clients[key] = make(
                api_base=choice.api_base, api_key=choice.api_key, name=choice.vendor
            )
        return self._clients[key]


def wanted_for(model: str, configured: Wanted) -> Wanted:
    """What is wanted of another model than the configured one.

    The configured address and key are its own only when it is of the same vendor, or has no vendor but an
    OpenAI-compatible server: a fallback at another vendor is reached there, with that vendor's key.
    """
    if model == configured.model:
        return configured
    return replace(configured, model=model) if akin(model, configured) else Wanted(model=model)


def akin(model: str, configured: Wanted) -> bool:
    """Whether the configured key may be sent to where `model` is."""
    vendor, _ = vendor_of(model)
    mine, _ = vendor_of(configured.model)
    if vendor is not None:
        return vendor is mine or bool(configured.api_base and vendor.prefix in ADDRESSLESS)
    if configured.api_base:
        return True
    # Vendors that only LiteLLM knows are told apart by what their ids begin with.
    prefix, slash, _ = model.partition("/")
    return bool(slash) and configured.model.startswith(f"{prefix}/")


async def find_models(wanted: Wanted, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The models already running, when the choice depends on them; at most 0.3 s for Ollama, 3 s for `api_base`."""
    if wanted.model == "auto" and wanted.api_base:
        return await served_models(wanted.api_base, wanted.api_key)
    if ollama_wanted(wanted, environ):
        return await ollama_models()
    return ()


async def make_provider(plan: Plan) -> Models:
    """Choose the model and put it together; `.choice` says what was chosen and why.

    Raises:
        ConfigError: the address is not one.
    """
    if plan.wanted.api_base:
        parsed_base(plan.wanted.api_base)
    found = await find_models(plan.wanted, plan.environ)
    choice = choose(plan.wanted, environ=plan.environ, found=found, kinds=plan.kinds)
    return Models(plan, choice)
