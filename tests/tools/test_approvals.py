"""The approver over the store: a decision counts for the very call it was made on, and doubt is a refusal."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from databot.tools.approvals import StoreApprover
from databot.tools.base import Approval, ApprovalNeeded, ApprovalState, Verdict
from databot.tools.guards import ApprovalRequired
from databot.types.approvals import call_digest, whole_arguments
from databot.types.chat import ToolCall
from databot.types.errors import StorageUnavailable, ToolNotAllowed
from databot.types.messages import ConversationKey
from tests.core.house import FunctionTools, echo
from tests.tools.kit import CONTEXT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARGUMENTS = '{"table": "orders", "n": 1}'
CALL = ToolCall(id="call_1", name="echo", arguments=ARGUMENTS)


class OneAnswer:
    """`Approvals` that know one call, or fail."""

    def __init__(self, state: ApprovalState | Exception | None, note: str = "") -> None:
        self.state: ApprovalState | Exception | None = state
        self.note = note
        self.reads = 0

    async def asked(self, tenant_id: str, turn_id: str, call_id: str) -> Approval | None:
        self.reads += 1
        assert (tenant_id, turn_id, call_id) == ("acme", "turn_1", "call_1")
        if isinstance(self.state, Exception):
            raise self.state
        if self.state is None:
            return None
        return Approval(
            id="apr_1",
            conversation=CONTEXT.conversation,
            turn_id=turn_id,
            call_id=call_id,
            tool="echo",
            arguments=ARGUMENTS,
            digest=call_digest("echo", ARGUMENTS),
            state=self.state,
            requested_at=NOW,
            expires_at=NOW + timedelta(days=7),
            note=self.note,
        )

    async def pending(
        self, tenant_id: str, *, turn_id: str | None = None, limit: int = 100
    ) -> Sequence[Approval]:
        raise NotImplementedError(tenant_id, turn_id, limit)

    async def find(self, tenant_id: str, approval_id: str) -> Approval | None:
        raise NotImplementedError(tenant_id, approval_id)

    async def decide(
        self, tenant_id: str, approval_id: str, verdict: Verdict, *, by: str, note: str = ""
    ) -> Approval | None:
        raise NotImplementedError(tenant_id, approval_id, verdict, by, note)

    async def expire(self, *, limit: int = 100) -> Sequence[ConversationKey]:
        raise NotImplementedError(limit)


@pytest.mark.parametrize("state", [None, "pending"])
async def test_a_call_waits_while_nobody_has_decided(state: ApprovalState | None) -> None:
    with pytest.raises(ApprovalNeeded):
        await StoreApprover(OneAnswer(state)).decide(CALL, CONTEXT)


@pytest.mark.parametrize("arguments", [ARGUMENTS, '{"n":1,"table":"orders"}'])
async def test_an_approved_call_may_run_however_its_arguments_are_spelled(arguments: str) -> None:
    call = replace(CALL, arguments=arguments)
    assert (await StoreApprover(OneAnswer("approved")).decide(call, CONTEXT)).approved


@pytest.mark.parametrize(
    "other",
    [
        replace(CALL, arguments='{"table": "customers", "n": 1}'),
        replace(CALL, arguments='{"table": "orders", "n": 10}'),
        replace(CALL, arguments=ARGUMENTS + " x"),
        replace(CALL, name="drop"),
    ],
)
async def test_an_approval_does_not_count_for_another_call(other: ToolCall) -> None:
    approver = StoreApprover(OneAnswer("approved"))
    assert (await approver.decide(CALL, CONTEXT)).approved
    decided = await approver.decide(other, CONTEXT)
    assert not decided.approved
    assert "other arguments" in decided.reason


REFUSALS: list[tuple[ApprovalState, str]] = [("denied", "not that one"), ("expired", "in time")]


@pytest.mark.parametrize(("state", "why"), REFUSALS)
async def test_a_refusal_says_why(state: ApprovalState, why: str) -> None:
    approver = StoreApprover(OneAnswer(state, note="not that one"))
    decided = await approver.decide(CALL, CONTEXT)
    assert not decided.approved
    assert why in decided.reason


async def test_a_call_outside_any_turn_is_refused_and_waits_for_nobody() -> None:
    outside = replace(CONTEXT, turn_id="")
    decided = await StoreApprover(OneAnswer("approved")).decide(CALL, outside)
    assert not decided.approved


async def test_between_being_permitted_and_being_made_a_call_needs_no_store() -> None:
    approvals = OneAnswer("approved")
    tools = FunctionTools({"echo": echo})
    guard = ApprovalRequired(tools, frozenset({"echo"}), StoreApprover(approvals))
    await guard.permit(CALL, CONTEXT)
    approvals.state = StorageUnavailable("away")
    await guard.call(CALL, CONTEXT)
    assert (len(tools.calls), approvals.reads) == (1, 1)


async def test_a_store_that_is_away_is_no_refusal_and_no_approval() -> None:
    tools = FunctionTools({"echo": echo})
    approver = StoreApprover(OneAnswer(StorageUnavailable("away")))
    guard = ApprovalRequired(tools, frozenset({"echo"}), approver)
    with pytest.raises(StorageUnavailable):
        await guard.permit(CALL, CONTEXT)
    assert tools.calls == []


async def test_an_approver_that_breaks_has_refused() -> None:
    tools = FunctionTools({"echo": echo})
    approver = StoreApprover(OneAnswer(RuntimeError("a bug")))
    guard = ApprovalRequired(tools, frozenset({"echo"}), approver)
    with pytest.raises(ToolNotAllowed, match="asking for approval failed"):
        await guard.call(CALL, CONTEXT)
    assert tools.calls == []


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (ARGUMENTS, {"table": "orders", "n": 1}),
        ("", {}),
        ("[1]", {"": "[1]"}),
        ('{"half', {"": '{"half'}),
        ('{"a":' * 5_000 + "1" + "}" * 5_000, {"": '{"a":' * 5_000 + "1" + "}" * 5_000}),
        ('{"long": "' + "x" * 10_000 + '"}', {"long": "x" * 10_000}),
    ],
)
def test_a_person_is_shown_all_of_the_arguments(arguments: str, shown: object) -> None:
    assert whole_arguments(arguments) == shown
