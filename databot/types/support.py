"""What a step of a turn leaves behind besides its messages.

It is kept with the step, so that a turn that goes on after a crash still has its evidence, its figures and its cost.
No model reads it and no model wrote it.
"""

from dataclasses import dataclass, field

from databot.types.chat import ChatMessage, Usage
from databot.types.evidence import ArtifactRef, Citation, Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What became of one tool call.

    `ms` is the time it took and `summary` one short line for people. `figures` are numbers an answer may quote; where
    `figures_cut` is true the result had more of them than were kept.
    """

    call_id: str
    ok: bool
    ms: float
    summary: str = ""
    evidence: tuple[Evidence, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    figures: tuple[float, ...] = ()
    figures_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNote:
    """What is kept of one tool call that changes something: that it is about to be made, and then its result.

    Without a `result` the note is the intent. It is of the tool step numbered `step`.
    """

    step: int
    call_id: str
    result: ChatMessage | None = None
    report: CallReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSupport:
    """What stands behind a step: who made it, and on what.

    `usage` is what the turn had used when the step was recorded, all model calls before it included. `citations` are
    the passages its words may cite; `calls` the reports of its tool calls, in the order asked.
    """

    agent: str = ""
    usage: Usage = field(default_factory=Usage)
    citations: tuple[Citation, ...] = ()
    calls: tuple[CallReport, ...] = ()


NO_SUPPORT = StepSupport()
"""Of a step that left nothing behind, and of one kept before support was."""
