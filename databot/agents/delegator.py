"""The delegator: an agent that lets the router choose another one and hands the turn over to it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from databot.agents.base import Agent, AgentEvent, AgentTurn, Route, Router
from databot.types.closing import closing
from databot.types.events import AgentSelected


class Delegator:
    """Answers with whichever agent the router names; `fallback` answers when the router names one that is not there."""

    name = "delegator"

    def __init__(self, router: Router, agents: Mapping[str, Agent], *, fallback: str) -> None:
        self._router = router
        self._agents = agents
        self._fallback = fallback

    async def respond(self, turn: AgentTurn) -> AsyncIterator[AgentEvent]:
        """Say who was chosen, then yield what that agent yields. What the choice took belongs to the turn's cost."""
        route = await self._route(turn)
        yield AgentSelected(turn_id=turn.turn.id, agent=route.agent, reason=route.reason)
        handed = replace(turn, used=turn.used + route.usage)
        async with closing(self._agents[route.agent].respond(handed)) as events:
            async for event in events:
                yield event

    async def _route(self, turn: AgentTurn) -> Route:
        """Who had begun to answer goes on: its tools are the ones the steps so far were made with."""
        if turn.agent_before in self._agents:
            return Route(agent=turn.agent_before, reason="had begun to answer before the restart")
        route = await self._router.route(turn)
        if route.agent in self._agents:
            return route
        reason = f"{route.agent!r} is not active"
        return Route(agent=self._fallback, reason=reason, usage=route.usage)
