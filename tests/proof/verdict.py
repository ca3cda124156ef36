"""What must be true once the script is through, whatever went wrong on the way, and how often it was not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from databot.core.calls import UNKNOWN_OUTCOME
from tests.proof.record import Line
from tests.proof.script import ASKS, GUARDED, MODEL_CALLS, PLAIN, QUESTIONS, question_of

Report = dict[str, Any]


class Ending(Protocol):
    """How a story ended: what the world saw, what the store held (`None`: it never came to an end), and why.

    `deaths` is how often the process was killed, `setbacks` how often anything at all went wrong.
    """

    @property
    def lines(self) -> Sequence[Line]: ...

    @property
    def report(self) -> Report | None: ...

    @property
    def deaths(self) -> int: ...

    @property
    def setbacks(self) -> int: ...

    @property
    def log(self) -> str: ...


@dataclass(slots=True)
class Tally:
    """Counts over many runs, as they are printed; `wrong` has every broken promise with where it was."""

    wrong: list[str] = field(default_factory=list[str])
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    unknown: int = 0
    sent_again: int = 0
    asked_again: int = 0

    def add(self, where: str, ending: Ending) -> None:
        """Judge one story."""
        if ending.report is None:
            self.lost += 1
            self.wrong.append(f"{where}: it did not come to an end: {ending.log[-2_000:]}")
            return
        lines, report = ending.lines, ending.report
        for kind, trouble in judged(lines, report, ending):
            self.lost += kind == "lost"
            self.repeated += kind == "repeated"
            self.out_of_order += kind == "out_of_order"
            self.wrong.append(f"{where}: {trouble}")
        self.unknown += unknown_in(report)
        sent = [line for line in lines if line.kind == "sent"]
        self.sent_again += len(sent) - len({line.key for line in sent})
        self.asked_again += count(lines, "model") - MODEL_CALLS

    def __str__(self) -> str:
        return (
            f"{self.lost} lost, {self.repeated} repeated, {self.out_of_order} out of order; "
            f"{self.asked_again} model calls made again, {self.unknown} outcomes told as unknown, "
            f"{self.sent_again} replies sent again under the same id"
        )


def judged(lines: Sequence[Line], report: Report, ending: Ending) -> Iterator[tuple[str, str]]:
    """What is wrong, and as what it counts."""
    yield from answers(report)
    yield from effects(lines, report, ending.deaths)
    yield from sends(lines, report)
    again = count(lines, "model") - MODEL_CALLS
    if again > ending.setbacks:
        yield "", f"{again} model calls more than needed after {ending.setbacks} setbacks"
    for line in lines:
        if line.kind == "malformed" and line.what:
            yield "", f"the model was shown a history no vendor takes: {line.what}"


def answers(report: Report) -> Iterator[tuple[str, str]]:
    """Each question once, in order, done, with whole steps."""
    asked = [
        content.removeprefix("question ") for role, content, _ in report["said"] if role == "user"
    ]
    if sorted(asked) != sorted(QUESTIONS):
        yield "repeated" if len(asked) > len(QUESTIONS) else "lost", f"kept are {asked}"
    elif asked != list(QUESTIONS):
        yield "out_of_order", f"kept are {asked}"
    for turn in report["turns"]:
        name = question_of(turn["question"])
        if turn["state"] != "done" or not turn["reply"]:
            yield "lost", f"{name} is {turn['state']}"
            continue
        if turn["steps"] != list(range(1, 2 * len(ASKS[name]) + 2)):
            yield "", f"the steps of {name} are {turn['steps']}"
        tools = [tool for tool, _ in turn["results"]]
        if tools != [tool for asks in ASKS[name] for tool in asks]:
            yield "", f"the results of {name} are {tools}"
    if report["waiting"] or report["dead"]:
        yield (
            "lost",
            f"{report['waiting']} replies wait in the outbox, {report['dead']} are given up",
        )


def effects(lines: Sequence[Line], report: Report, crashes: int) -> Iterator[tuple[str, str]]:
    """Plain ones at most once and told when nobody knows; idempotent ones always under one key."""
    made = Counter((line.of, line.what) for line in lines if line.kind == "effect")
    keys = {(line.of, line.key) for line in lines if line.kind == "effect" and line.what == "put"}
    if len(keys) > len({of for of, _ in keys}):
        yield "repeated", f"an idempotent call was made under several keys: {sorted(keys)}"
    for turn in report["turns"]:
        name = question_of(turn["question"])
        for tool, text in turn["results"]:
            yield from effect(tool, made[name, tool], text, turn["reply"] or "")
    unknown = unknown_in(report)
    if unknown > crashes:
        yield "", f"{unknown} outcomes are unknown after {crashes} crashes"
    order = [line.kind for line in lines if line.what == GUARDED]
    if order[:1] != ["approves"]:
        yield "", f"{GUARDED} was made before anybody had approved it"


def effect(tool: str, times: int, text: str, reply: str) -> Iterator[tuple[str, str]]:
    """One call: how often it was made, and what the model and the person were told of it."""
    if tool in PLAIN and times > 1:
        yield "repeated", f"{tool} was made {times} times"
    if not is_unknown(text):
        if not times or text != f"{tool} did it":
            yield "lost", f"{tool} was made {times} times and gave {text!r}"
    elif tool not in PLAIN:
        yield "", f"the outcome of {tool} is called unknown"
    elif not is_unknown(reply):
        yield "", f"nobody was told that the outcome of {tool} is unknown"


def sends(lines: Sequence[Line], report: Report) -> Iterator[tuple[str, str]]:
    """Each reply under one id, as it was kept, and in order."""
    sent = [line for line in lines if line.kind == "sent"]
    order = [line.of for line in sent]
    if order != sorted(order):
        yield "out_of_order", f"sent were {order}"
    for turn in report["turns"]:
        name = question_of(turn["question"])
        its = [line for line in sent if line.of == name]
        if not its:
            yield "lost", f"the reply to {name} was not sent"
        if len({line.key for line in its}) > 1:
            yield "repeated", f"the reply to {name} was sent as several"
        if any(line.what != turn["reply"] for line in its):
            yield "", f"what was sent for {name} is not what was kept"


def is_unknown(text: str) -> bool:
    return UNKNOWN_OUTCOME in text


def count(lines: Sequence[Line], kind: str) -> int:
    return sum(line.kind == kind for line in lines)


def unknown_in(report: Report) -> int:
    return sum(is_unknown(text) for turn in report["turns"] for _, text in turn["results"])
