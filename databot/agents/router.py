"""The router: chooses who answers a turn.

A forced agent wins. Then rules: the specialist with the most marks in the question. Where rules leave a tie, a model
is asked, if one is configured for it; where they say nothing, the general agent answers, which has every tool. So most
turns cost no extra model call.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from databot.agents.base import AgentTurn, Route
from databot.agents.specialist import Specialist
from databot.providers.base import LLMProvider
from databot.types.chat import ChatMessage, ChatReply, ChatRequest
from databot.types.errors import ProviderError

CLASSIFY_TIMEOUT_S = 10.0
CLASSIFY_TOKENS = 16


class RuleRouter:
    """Routes by forced name and by marks."""

    def __init__(self, active: Sequence[Specialist]) -> None:
        self._active = active

    async def route(self, turn: AgentTurn) -> Route:
        candidates = self.candidates(turn)
        return candidates[0]

    def candidates(self, turn: AgentTurn) -> list[Route]:
        """The agents that fit equally well, best first; never empty."""
        forced = turn.turn.message.agent
        if forced is not None:
            return [Route(agent=forced, reason="forced by the person")]
        if len(self._active) == 1:
            return [Route(agent=self._active[0].name, reason="the only agent")]
        text = turn.turn.message.content
        scores = {specialist.name: specialist.claims(text) for specialist in self._active}
        best = max(scores.values())
        if best == 0:
            return [Route(agent=self._active[-1].name, reason="no rule matched")]
        return [
            Route(agent=name, reason=f"{score} rule{'s' if score > 1 else ''} matched")
            for name, score in scores.items()
            if score == best
        ]


class ModelRouter:
    """Routes by rules, and asks a model where the rules leave a tie."""

    def __init__(
        self, rules: RuleRouter, active: Sequence[Specialist], provider: LLMProvider, model: str
    ) -> None:
        self._rules = rules
        self._described = {specialist.name: specialist.description for specialist in active}
        self._provider = provider
        self._model = model

    async def route(self, turn: AgentTurn) -> Route:
        candidates = self._rules.candidates(turn)
        if len(candidates) == 1:
            return candidates[0]
        names = [candidate.agent for candidate in candidates]
        reply = await self._ask(turn.turn.message.content, names)
        said = reply.text.strip().strip("`*.\"'").lower()
        chosen = next((name for name in names if name.lower() == said), None)
        if chosen is None:
            return replace(candidates[0], usage=reply.usage)
        reason = f"the model chose among {', '.join(names)}"
        return Route(agent=chosen, reason=reason, usage=reply.usage)

    async def _ask(self, question: str, names: Sequence[str]) -> ChatReply:
        """The model's choice; an empty one when it cannot be asked."""
        listed = "\n".join(f"{name}: {self._described[name]}" for name in names)
        instruction = (
            "Choose who should answer the question. Reply with one name from this list and nothing else.\n"
            + listed
        )
        request = ChatRequest(
            model=self._model,
            messages=(
                ChatMessage(role="system", content=instruction),
                ChatMessage(role="user", content=question[:2_000]),
            ),
            max_output_tokens=CLASSIFY_TOKENS,
            timeout_s=CLASSIFY_TIMEOUT_S,
        )
        try:
            async with asyncio.timeout(CLASSIFY_TIMEOUT_S):
                return await self._provider.chat(request)
        except (ProviderError, TimeoutError):
            return ChatReply()
