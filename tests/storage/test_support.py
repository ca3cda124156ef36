"""What a step left behind, kept beside it: the stored spelling, held still, and the way back."""

from databot.storage.base import Step
from databot.storage.open import Store
from databot.storage.support import decode_support, encode_support
from databot.types.chat import Usage
from databot.types.evidence import ArtifactRef, Citation, Evidence
from databot.types.support import NO_SUPPORT, CallReport, StepSupport
from tests.storage.parts import asked, begun, found, message

SUPPORT = StepSupport(
    agent="sql",
    usage=Usage(input_tokens=3, output_tokens=2, cost_usd=0.5),
    citations=(Citation(marker="[1]", title="T", source="t.md", quote="q", score=0.5),),
    calls=(
        CallReport(
            call_id="c1",
            ok=True,
            ms=1.5,
            summary="1 row",
            evidence=(
                Evidence(
                    connector="shop",
                    statement="SELECT 1",
                    rows=1,
                    truncated=False,
                    elapsed_ms=1.0,
                    as_of="2026-01-01T00:00:00Z",
                    columns=("n",),
                    sample=((1,),),
                ),
            ),
            artifacts=(ArtifactRef(id="a1", name="a.csv", media_type="text/csv", size=3),),
            figures=(1.0, 2.5),
            figures_cut=True,
        ),
    ),
)


def test_support_is_stored_as_it_always_was() -> None:
    text = (
        '{"agent":"sql","usage":{"input_tokens":3,"output_tokens":2,"cost_usd":0.5},"citations":[{"marker":"[1]",'
        '"title":"T","source":"t.md","quote":"q","score":0.5}],"calls":[{"call_id":"c1","ok":true,"ms":1.5,'
        '"summary":"1 row","evidence":[{"connector":"shop","statement":"SELECT 1","rows":1,"truncated":false,'
        '"elapsed_ms":1.0,"as_of":"2026-01-01T00:00:00Z","columns":["n"],"sample":[[1]],"artifact_id":null}],'
        '"artifacts":[{"id":"a1","name":"a.csv","media_type":"text/csv","size":3}],"figures":[1.0,2.5],'
        '"figures_cut":true}]}'
    )
    assert encode_support(SUPPORT) == text
    assert decode_support(text) == SUPPORT


def test_figures_json_cannot_spell_are_left_out() -> None:
    odd = CallReport(call_id="c", ok=True, ms=0, figures=(1.0, float("nan"), float("inf")))
    (report,) = decode_support(encode_support(StepSupport(calls=(odd,)))).calls
    assert report.figures == (1.0,)


async def test_what_a_step_left_behind_is_read_back_with_it_and_is_no_message(store: Store) -> None:
    claim = await begun(store, "t1", message())
    step = found("t1", "c1", step=2)
    supported = Step(turn_id="t1", step=2, messages=step.messages, support=SUPPORT)
    await store.journal.append(claim, asked("t1", "c1"))
    await store.journal.append(claim, supported)
    steps = await store.journal.steps("t1")
    assert list(steps) == [asked("t1", "c1"), supported]
    assert steps[0].support == NO_SUPPORT
    logged = await store.sessions.messages(message().conversation)
    assert [item.role for item in logged] == ["user", "assistant", "tool"]
    await store.claims.settle(claim, "failed")
    history = await store.journal.history(message().conversation, 1)
    assert [item.role for item in history] == ["user", "assistant", "tool"]


async def test_the_first_support_of_a_step_stands(store: Store) -> None:
    claim = await begun(store, "t1", message())
    step = asked("t1", "c1")
    first = Step(turn_id="t1", step=0, messages=step.messages, support=SUPPORT)
    second = Step(turn_id="t1", step=0, messages=step.messages, support=StepSupport(agent="b"))
    await store.journal.append(claim, first)
    await store.journal.append(claim, second)
    assert list(await store.journal.steps("t1")) == [first]


async def test_deleting_a_session_deletes_what_its_steps_left_behind(store: Store) -> None:
    claim = await begun(store, "t1", message())
    messages = asked("t1", "c1").messages
    step = Step(turn_id="t1", step=0, messages=messages, support=SUPPORT)
    await store.journal.append(claim, step)
    await store.sessions.delete(message().conversation)
    assert list(await store.journal.steps("t1")) == []
