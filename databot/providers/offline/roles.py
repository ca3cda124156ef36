"""Roles: what each item of a reading does in the question: the groups, the thing ranked, the number asked for.

Values only; `assignment` fills them in.
"""

from dataclasses import dataclass, field

from databot.providers.offline.question import Comparator, Function
from databot.providers.offline.reading import Item, Reading

FUNCTIONS: dict[str, Function] = {
    "count": "count",
    "sum": "sum",
    "avg": "avg",
    "min": "min",
    "max": "max",
}
MONEY_VERBS = {"spend", "spent", "sell", "sold", "earned"}
"""Money without its noun: beside another number they only say what happened."""
DEFAULT_RANKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A number something is compared with; `about` is the noun it stands next to, if any.

    `counted` when the number stands before it: "5 orders" are five of them, "order 5" is one.
    """

    operator: Comparator
    value: str
    also: tuple[str, ...] = ()
    counted: bool = False
    about: Item | None = None


@dataclass(slots=True, kw_only=True)
class Roles:
    """What was found, while the items are walked through once."""

    groups: list[Item] = field(default_factory=list[Item])
    measures: list[Item] = field(default_factory=list[Item])
    target: Item | None = None
    free: list[Item] = field(default_factory=list[Item])
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    strange: list[tuple[Item, bool, Item | None]] = field(
        default_factory=list[tuple[Item, bool, Item | None]]
    )
    without: list[Item] = field(default_factory=list[Item])
    missing: list[Item] = field(default_factory=list[Item])
    sorts: list[Item] = field(default_factory=list[Item])
    negated: list[Item] = field(default_factory=list[Item])
    lost: list[Item] = field(default_factory=list[Item])
    limits: bool = False
    """A ranking word behind the groups only says how many of them: "orders per country top 5"."""


def functions_of(reading: Reading) -> tuple[Function, ...]:
    """The different functions named, in order; "number of" last where "average" stands beside it."""
    found: list[Function] = [FUNCTIONS[item.name] for item in reading.marks(*FUNCTIONS)]
    return tuple(dict.fromkeys(sorted(found, key=lambda function: function == "count")))


def function_of(reading: Reading) -> Function | None:
    """The first function named."""
    return next(iter(functions_of(reading)), None)
