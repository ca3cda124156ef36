"""A draft: a question on the way from reading to answer, with the values in it still to be looked up."""

from dataclasses import dataclass

from databot.providers.offline.catalog import ColumnRef
from databot.providers.offline.question import (
    Filter,
    Function,
    Grain,
    Group,
    Measure,
    Order,
    Output,
    Question,
    Shape,
)
from databot.providers.offline.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """Words that must be a value: where they stand, whether "not" precedes, and the column they may belong to."""

    text: str
    at: int
    negated: bool
    quoted: bool
    hints: tuple[ColumnRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why there is no answer; told to the person.

    `trouble` means that the question may well be fine and a tool failed: then `reason` is the whole text. `unknown` are
    the words that stand for nothing.
    """

    reason: str
    unknown: tuple[str, ...] = ()
    trouble: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What was understood. Without a `subject` it can only be a follow-up of an earlier question."""

    subject: str = ""
    shape: Shape | None = None
    function: Function | None = None
    measure: Measure | None = None
    more: tuple[Measure, ...] = ()
    columns: tuple[ColumnRef, ...] = ()
    groups: tuple[Group, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    grain: Grain | None = None
    share: bool = False
    output: Output = "text"
    mark: str = ""
    format: str = "csv"
    notes: tuple[str, ...] = ()
    strange: tuple[Strange, ...] = ()
    reading: Reading

    def question(self) -> Question:
        """The question, once it stands on its own."""
        return Question(
            table=self.subject,
            shape=self.shape or "rows",
            measure=self.measure,
            more=self.more,
            columns=self.columns,
            groups=self.groups,
            filters=self.filters,
            order=self.order,
            share=self.share,
            output=self.output,
            mark=self.mark,
            format=self.format,
            notes=self.notes,
        )
