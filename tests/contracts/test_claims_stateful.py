"""Claims against a small model, in random sequences: workers that crash, freeze and thaw, messages delivered twice.

Each sequence works in two conversations of a tenant of its own, so that all of them share one open store.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from databot.storage.base import OPEN_STATES, Claim, TurnState, Worker
from databot.storage.sqlite import connection
from databot.types.errors import ClaimLost
from databot.types.messages import ConversationKey, InboundMessage
from databot.types.support import CallNote
from tests.storage.crew import Crew, MemoryCrew, sql_crew
from tests.storage.parts import message, said

T = TypeVar("T")
WORKERS = 3
TTL_S = 10.0
PICKS = st.integers(0, 7)
"""Which conversation, turn or claim a step is about: of all there are, the smaller ones the later or likelier."""
ENDS: tuple[TurnState, ...] = ("done", "failed", "dead")
ERROR = {"type": "x", "message": "x"}


@dataclass
class Turn:
    """What the model knows of a turn; `steps` has the fence each was written under."""

    id: str
    state: str = "queued"
    fence: int = 0
    attempts: int = 0
    claims: int = 0
    stop_asked: bool = False
    overtaken: bool = False  # it was held or tried again: later ones may end before it
    steps: list[int] = field(default_factory=list[int])
    notes: int = 0


@dataclass
class Chat:
    """What the model knows of a conversation."""

    turns: list[Turn] = field(default_factory=list[Turn])
    fence: int = 0
    owner: int | None = None
    until: float = 0.0

    def ready(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.state in {"queued", "running"}]

    def claim(self, worker: int, now: float) -> Turn | None:
        """The turn this worker gets."""
        free = self.owner in {None, worker} or self.until <= now
        if not (free and self.ready()):
            return None
        turn = self.ready()[0]
        self.fence, self.owner, self.until = self.fence + 1, worker, now + TTL_S
        turn.state, turn.fence = "running", self.fence
        turn.attempts, turn.claims = turn.attempts + 1, turn.claims + 1
        return turn

    def let_go(self, turn: Turn, state: str) -> bool:
        turn.state, self.owner = state, None
        return bool(self.ready())


@dataclass
class Working:
    """A claim a worker keeps, whatever became of it since."""

    chat: Chat
    turn: Turn
    claim: Claim
    fence: int
    next_step: int

    @property
    def holds(self) -> bool:
        return self.turn.state == "running" and self.chat.fence == self.fence


class Machine(RuleBasedStateMachine):
    """Random work; after each step the store is compared with the model."""

    crew: Crew
    drive: Callable[[Coroutine[Any, Any, Any]], Any]
    counts: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.counts["sequences"] += 1
        self.tenant = f"tenant{self.counts['sequences']}"
        self.chats = [Chat(), Chat()]
        self.working: dict[int, list[Working]] = {worker: [] for worker in range(WORKERS)}
        self.messages: list[tuple[InboundMessage, Chat, Turn]] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return type(self).drive(work)

    def key(self, chat: Chat) -> ConversationKey:
        return self.question(chat, None).conversation

    def question(self, chat: Chat, name: str | None) -> InboundMessage:
        number = next(n for n, each in enumerate(self.chats) if each is chat)
        return message("q", chat_id=f"c{number}", tenant_id=self.tenant, message_id=name)

    @initialize(certain=st.booleans())
    def begin(self, certain: bool) -> None:
        self.ingest(0, 0)
        self.ingest(0, 1)
        self.claim(0, 0, certain)

    @rule(pick=PICKS, worker=st.integers(0, WORKERS - 1))
    def ingest(self, pick: int, worker: int) -> None:
        chat = self.chats[pick // 6]
        turn = Turn(f"{self.tenant}-t{len(self.messages)}")
        question = self.question(chat, f"m{len(self.messages)}")
        accepted = self.do(self.crew.stores[worker].inbox.ingest(turn.id, question))
        assert not accepted.duplicate
        chat.turns.append(turn)
        self.messages.append((question, chat, turn))

    @rule(pick=PICKS, worker=st.integers(0, WORKERS - 1))
    def deliver_again(self, pick: int, worker: int) -> None:
        question, _, turn = self.messages[-1 - pick % len(self.messages)]
        store = self.crew.stores[worker]
        accepted = self.do(store.inbox.ingest(f"{turn.id}-again", question, most_waiting=1))
        assert (accepted.turn_id, accepted.duplicate) == (turn.id, True)

    @rule(pick=PICKS, worker=st.integers(0, WORKERS - 1), certain=st.booleans())
    def claim(self, pick: int, worker: int, certain: bool) -> None:
        chat = self.chats[pick // 6]
        turn = chat.claim(worker, self.crew.clock.monotonic())
        claims = self.crew.stores[worker].claims
        claim = self.do(claims.claim(self.key(chat), certain=certain))
        if turn is None:
            assert claim is None
            return
        assert claim is not None
        self.counts["claims"] += 1
        told = (claim.turn_id, claim.fence, claim.attempt, claim.resumed, claim.stop_asked)
        assert told == (turn.id, chat.fence, turn.attempts, turn.claims > 1, turn.stop_asked)
        self.working[worker].append(Working(chat, turn, claim, chat.fence, len(turn.steps)))

    def _pick(self, pick: int) -> tuple[int, Working]:
        """A claim somebody keeps, mostly a newer one."""
        kept = [(worker, each) for worker, all_ in self.working.items() for each in all_]
        kept.sort(key=lambda pair: pair[1].holds)
        return kept[-1 - pick // 2 % len(kept)]

    def anybody_works(self) -> bool:
        return any(self.working.values())

    def attempt(self, working: Working, write: Coroutine[Any, Any, T]) -> T | None:
        """A write, which is refused exactly when the claim is lost."""
        if working.holds:
            return self.do(write)
        self.counts["refused"] += 1
        with pytest.raises(ClaimLost):
            self.do(write)
        return None

    @precondition(anybody_works)
    @rule(pick=PICKS, noted=st.booleans())
    def append(self, pick: int, noted: bool) -> None:
        worker, working = self._pick(pick)
        journal, step = self.crew.stores[worker].journal, working.next_step
        if noted:
            note = CallNote(step=step, call_id=f"c{working.turn.notes}")
            self.attempt(working, journal.note(working.claim, note))
            working.turn.notes += working.holds
            return
        text = f"{working.fence}"
        self.attempt(working, journal.append(working.claim, said(working.turn.id, text, step)))
        if working.holds:
            working.turn.steps.append(working.fence)
            working.next_step += 1

    @precondition(anybody_works)
    @rule(pick=PICKS, end=st.sampled_from(ENDS))
    def settle(self, pick: int, end: TurnState) -> None:
        worker, working = self._pick(pick)
        chat, turn, claims = working.chat, working.turn, self.crew.stores[worker].claims
        ended_here = turn.state in ENDS and turn.fence == working.fence
        more = self.end(working, ended_here, claims.settle(working.claim, end, error=ERROR))
        if ended_here:
            assert more is bool(chat.ready())
        elif working.holds:
            earlier = chat.turns[: chat.turns.index(turn)]
            assert all(each.overtaken for each in earlier if each.state in OPEN_STATES)
            assert more is chat.let_go(turn, end)
            self.counts["ends"] += 1

    def end(self, working: Working, again: bool, write: Coroutine[Any, Any, bool]) -> bool | None:
        return self.do(write) if again else self.attempt(working, write)

    @precondition(anybody_works)
    @rule(pick=PICKS)
    def hold(self, pick: int) -> None:
        worker, working = self._pick(pick)
        chat, turn = working.chat, working.turn
        left = turn.state in {"waiting", "queued"} and chat.fence == working.fence
        more = self.end(working, left, self.crew.stores[worker].claims.hold(working.claim, ()))
        if left:
            assert more is bool(chat.ready())
        elif working.holds:
            turn.attempts, turn.overtaken = 0, True
            # Of a turn that somebody wants stopped nobody is asked: the next worker ends it.
            assert more is chat.let_go(turn, "queued" if turn.stop_asked else "waiting")

    @rule(pick=PICKS)
    def decide(self, pick: int) -> None:
        turn = self.messages[-1 - pick % len(self.messages)][2]
        if turn.state == "waiting":
            self.do(self.crew.decide(turn.id))
            turn.state = "queued"

    @precondition(anybody_works)
    @rule(pick=PICKS)
    def release(self, pick: int) -> None:
        worker, working = self._pick(pick)
        self.do(self.crew.stores[worker].claims.release(working.claim))
        if working.holds:
            working.turn.attempts -= 1
            working.chat.let_go(working.turn, "queued")

    @precondition(anybody_works)
    @rule(worker=st.integers(0, WORKERS - 1))
    def renew(self, worker: int) -> None:
        mine = self.working[worker]
        told = self.do(self.crew.stores[worker].claims.renew([each.claim for each in mine]))
        for working, renewal in zip(mine, told, strict=True):
            assert renewal.lost is not working.holds
            assert renewal.stop_asked is (working.holds and working.turn.stop_asked)
            if working.holds:
                working.chat.until = self.crew.clock.monotonic() + TTL_S

    @rule(seconds=st.sampled_from([1.0, TTL_S / 2, TTL_S + 1]))
    def freeze(self, seconds: float) -> None:
        """Time passes, and nobody renews; whoever wakes up still believes what it claimed."""
        self.crew.clock.advance(seconds)

    @precondition(anybody_works)
    @rule(worker=st.integers(0, WORKERS - 1))
    def crash(self, worker: int) -> None:
        self.working[worker].clear()

    @rule(pick=PICKS)
    def stop(self, pick: int) -> None:
        turn = self.messages[-1 - pick % len(self.messages)][2]
        idle = turn.state in {"queued", "waiting"}
        assert self.do(self.crew.stores[0].inbox.stop(self.tenant, turn.id, ERROR)) is idle
        turn.stop_asked |= turn.state in OPEN_STATES
        turn.state = "cancelled" if idle else turn.state

    @rule(pick=PICKS)
    def replay(self, pick: int) -> None:
        _, chat, turn = self.messages[-1 - pick % len(self.messages)]
        key = self.do(self.crew.stores[1].inbox.replay(self.tenant, turn.id))
        assert key == (self.key(chat) if turn.state == "dead" else None)
        if key is not None:
            turn.state, turn.attempts = "queued", 0
            turn.stop_asked, turn.overtaken = False, True

    @invariant()
    def nothing_is_lost_and_all_is_in_order(self) -> None:
        self.counts["steps"] += 1
        self.do(self._compare())

    async def _compare(self) -> None:
        store = self.crew.stores[0]
        for chat in self.chats:
            open_ = [turn.id for turn in chat.turns if turn.state in OPEN_STATES]
            assert list(await store.inbox.open_turns(self.key(chat))) == open_

    def teardown(self) -> None:
        for store in self.crew.stores[:2]:  # in each process a write after all the uncertain ones
            self.do(store.memory.put(self.tenant, "p", "k", "v"))
        self.do(self._compare_all())

    async def _compare_all(self) -> None:
        """Every accepted message is there, with its one end and the steps of those who had it."""
        store = self.crew.stores[-1]
        for question, _, turn in self.messages:
            record = await store.inbox.turn(self.tenant, turn.id)
            assert record is not None
            assert record.message == question
            assert record.state == turn.state
            steps = await store.journal.steps(turn.id)
            fences = [int(step.messages[0].content) for step in steps]
            assert fences == turn.steps == sorted(turn.steps)
            assert len(await store.journal.notes(turn.id)) == turn.notes
            self.counts["turns"] += 1


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run what never waits, without a loop."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def run(
    crew: Crew, drive: Callable[[Coroutine[Any, Any, Any]], Any], examples: int
) -> Counter[str]:
    counts: Counter[str] = Counter()
    machine = type(
        "Claims", (Machine,), {"crew": crew, "drive": staticmethod(drive), "counts": counts}
    )
    chosen = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        phases=[Phase.generate, Phase.shrink],
    )
    run_state_machine_as_test(machine, settings=chosen)
    return counts


@pytest.mark.timeout(300)
def test_random_work_in_memory_agrees_with_the_model() -> None:
    workers = [Worker(name=f"w{number}", ttl_s=TTL_S) for number in range(WORKERS)]
    counts = run(MemoryCrew(workers), at_once, 2_000)
    print(f"in memory: {dict(counts)}")  # noqa: T201 - how much was tried
    assert counts["sequences"] >= 2_000


@pytest.mark.timeout(300)
def test_random_work_on_sqlite_agrees_with_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is cut off here, so nothing needs to be waited for: no crash of the machine, and no company.
    quick = tuple(item.replace("= FULL", "= OFF") for item in connection.SETTINGS)
    monkeypatch.setattr(connection, "SETTINGS", quick)
    with asyncio.Runner() as runner, opened(tmp_path, runner) as crew:
        counts = run(crew, runner.get_loop().run_until_complete, 300)
    print(f"on SQLite: {dict(counts)}")  # noqa: T201 - how much was tried
    assert counts["sequences"] >= 300


@contextmanager
def opened(folder: Path, runner: asyncio.Runner) -> Generator[Crew]:
    """Three workers in two processes on one file."""
    workers = [Worker(name=f"w{number}", ttl_s=TTL_S) for number in range(WORKERS)]
    manager = sql_crew(f"sqlite:///{folder}/databot.db", folder, workers)
    crew = runner.run(manager.__aenter__())
    try:
        yield crew
    finally:
        runner.run(manager.__aexit__(None, None, None))
