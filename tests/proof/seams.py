"""The seams of a store, watched: every call that writes becomes points before and after it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from databot.channels.base import Delivery, Outbox
from databot.storage.base import Claim, Claims, Inbox, Journal, Step
from databot.storage.open import Store
from databot.tools.base import Approvals
from databot.types.messages import InboundMessage
from databot.types.support import CallNote
from tests.proof.points import Points
from tests.proof.script import question_of

Label = Callable[..., str | None]
"""What a call is about, from its arguments; `None`: it is not followed."""


class Seam:
    """Stands in for one contract of the store; calls without a label pass unseen."""

    def __init__(self, inner: object, points: Points, labels: Mapping[str, Label]) -> None:
        self._inner = inner
        self._points = points
        self._labels = labels

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of any contract
        method = getattr(self._inner, name)
        label = self._labels.get(name)
        if label is None:
            return method

        async def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method
            of = label(*args)
            if of is None:
                return await method(*args, **kwargs)
            early = kwargs.get("certain") is False
            with self._points.call(f"{name} {of}".strip(), writes=True, told_early=early):
                return await method(*args, **kwargs)

        return watched


def watched(store: Store, points: Points) -> Store:
    """The store with every seam watched."""

    def seam(inner: object, **labels: Label) -> Any:  # noqa: ANN401 - stands in for any contract
        return Seam(inner, points, labels)

    claims = seam(store.claims, claim=lambda _: "", settle=of_claim, hold=of_claim, renew=of_claims)
    return replace(
        store,
        inbox=cast("Inbox", seam(store.inbox, ingest=of_message)),
        claims=cast("Claims", claims),
        journal=cast("Journal", seam(store.journal, append=of_step, note=of_note)),
        outbox=cast(
            "Outbox",
            seam(
                store.outbox, claim=lambda *_: "of the outbox", sent=of_delivery, failed=of_delivery
            ),
        ),
        approvals=cast("Approvals", seam(store.approvals, decide=lambda *_: "")),
    )


def of_message(turn_id: str, message: InboundMessage) -> str:
    del turn_id
    return question_of(message.content)


def of_claim(claim: Claim, *rest: object) -> str:
    del rest
    return question_of(claim.record.message.content)


def of_claims(claims: Sequence[Claim]) -> str | None:
    return of_claim(claims[0]) if claims else None


def of_step(claim: Claim, step: Step) -> str:
    return f"{of_claim(claim)}.{step.step}"


def of_note(claim: Claim, note: CallNote) -> str:
    del claim
    return f"{'result' if note.result else 'intent'} of {note.call_id}"


def of_delivery(delivery: Delivery, *rest: object) -> str:
    del rest
    return question_of(delivery.message.content)
