"""A question, understood: the frozen value between reading English and writing SQL.

It names tables and columns of one database and nothing else: no text of the message, no SQL, no result.
"""

from dataclasses import dataclass
from typing import Literal

from databot.providers.offline.catalog import ColumnRef

Grain = Literal["hour", "day", "week", "month", "quarter", "year", "weekday", "hour_of_day"]
Unit = Literal["hour", "day", "week", "month", "quarter", "year"]
Function = Literal["count", "sum", "avg", "min", "max"]
Comparator = Literal["=", "!=", ">", ">=", "<", "<="]
Shape = Literal["count", "rows", "distinct", "measure"]
Output = Literal["text", "chart", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An instant: an ISO date, or the start of the current `floor` shifted by `shift` times `by`."""

    iso: str = ""
    floor: Unit = "day"
    shift: int = 0
    by: Unit = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A stretch of time, `start` included and `end` not; or, with `month`, that month of any year.

    `each` is the unit that figures are told for one by one: "in 2024 and 2025".
    """

    label: str
    start: Bound | None = None
    end: Bound | None = None
    month: int = 0
    each: Grain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class During:
    """Rows whose time lies in the period."""

    column: ColumnRef
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """Rows whose value is one of these, or with `negated` none of them."""

    column: ColumnRef
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    """Rows whose text has all words of one of these phrases in it."""

    column: ColumnRef
    phrases: tuple[tuple[str, ...], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Rows whose number stands so to `value`, which is a number's text; or equals one of `also`."""

    column: ColumnRef
    operator: Comparator
    value: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Rows where a yes/no column is so."""

    column: ColumnRef
    value: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Rows without a value."""

    column: ColumnRef
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """Rows of the subject that some row of `table` points at; with `negated` those that none points at."""

    table: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ByColumn:
    """One group for each value."""

    column: ColumnRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ByEntity:
    """One group for each row of a table, shown by its name."""

    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByTime:
    """One group for each hour, day, … year."""

    column: ColumnRef
    grain: Grain


Group = ByColumn | ByEntity | ByTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A number computed over rows of `table`.

    With `columns` empty it counts rows; with two columns it is their product; `per` divides a sum or a count by the
    number of different such groups (average order value, tickets per day). `distinct` counts different values. `word`
    is the word for money it was asked by, so that another grouping can be given another definition.
    """

    table: str
    function: Function
    columns: tuple[ColumnRef, ...] = ()
    distinct: bool = False
    per: Group | None = None
    name: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totalled:
    """Rows of the subject whose rows of `measure.table` count or add up so: "customers with more than 5 orders"."""

    measure: Measure
    operator: Comparator
    value: str


Filter = During | OneOf | Contains | Compare | Flag | Missing | Related | Totalled


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`column` orders rows; without it the measure orders groups. `limit` 0 means no limit.

    `page` says that nobody asked for that limit: one row more is looked for, to know whether there are more.
    """

    descending: bool = True
    limit: int = 0
    page: bool = False
    column: ColumnRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of one database.

    `table` is the subject: whose rows are shown, counted or measured. `more` are other functions of what is measured.
    `columns` are the ones to show. `notes` are the choices made where the words left one, told in the answer. `share` asks which part of all rows the filters keep.
    """

    table: str
    shape: Shape
    measure: Measure | None = None
    more: tuple[Measure, ...] = ()
    columns: tuple[ColumnRef, ...] = ()
    groups: tuple[Group, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    share: bool = False
    output: Output = "text"
    mark: str = ""
    format: str = "csv"
    notes: tuple[str, ...] = ()
