"""The delegator: an agent that lets the router choose another one and hands the turn over to it."""

from collections.abc import AsyncIterator, Mapping

from databot.agents.base import Agent, AgentEvent, AgentTurn, Route, Router
from databot.types.events import AgentSelected


class Delegator:
    """Answers with whichever agent the router names; `fallback` answers when the router names one that is not there."""

    name = "delegator"

    def __init__(self, router: Router, agents: Mapping[str, Agent], *, fallback: str) -> None:
        self._router = router
        self._agents = agents
        self._fallback = fallback

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Say who was chosen, then yield what that agent yields."""
        route = await self._router.route(turn)
        if route.agent not in self._agents:
            route = Route(agent=self._fallback, reason=f"{route.agent!r} is not active")
        yield AgentSelected(turn_id=turn.turn.id, agent=route.agent, reason=route.reason)
        async for event in self._agents[route.agent].respond(turn):
            yield event
