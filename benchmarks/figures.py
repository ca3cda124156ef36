"""What a benchmark gives: figures with their baselines and targets, as a table and as JSON.

Values only; nothing is measured here. A figure is judged by its ratio to the baseline where it has one, because a ratio
of two things measured side by side survives a noisy machine, and an absolute number does not.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A bound: of the ratio to the baseline, or of the value itself."""

    of: Literal["ratio", "value"]
    most: float | None = None
    least: float | None = None

    def met(self, number: float) -> bool:
        """Whether `number` keeps to it."""
        over = self.most is not None and number > self.most
        under = self.least is not None and number < self.least
        return not (over or under)

    def __str__(self) -> str:
        unit = "x" if self.of == "ratio" else ""
        bounds = [("<=", self.most), (">=", self.least)]
        return " ".join(f"{sign} {bound:,.4g}{unit}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table: `value` and `baseline` in `unit`; `against` says what the baseline is.

    `ratio` is the median of the rounds' ratios where rounds were interleaved, which need not be value / baseline.
    """

    row: str
    what: str
    value: float
    unit: str
    baseline: float | None = None
    against: str = ""
    ratio: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; `None` without one."""
        if self.target is None:
            return None
        number = self.ratio if self.target.of == "ratio" else self.value
        return None if number is None else self.target.met(number)

    def as_data(self) -> dict[str, Any]:
        """The figure as JSON values."""
        return {**asdict(self), "met": self.met}


def from_data(data: dict[str, Any]) -> Figure:
    """The figure `as_data` wrote."""
    fields = {key: value for key, value in data.items() if key != "met"}
    target = fields.pop("target")
    return Figure(**fields, target=Target(**target) if target else None)


def at_most(bound: float) -> Target:
    """The ratio to the baseline must not be above `bound`."""
    return Target(of="ratio", most=bound)


def at_least(bound: float) -> Target:
    """The ratio to the baseline must not be below `bound`."""
    return Target(of="ratio", least=bound)


HEADINGS = ("row", "figure", "value", "baseline", "ratio", "target", "")
RIGHT = {2, 4}


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns, for people."""
    lines = [HEADINGS, *(cells(figure) for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def cells(figure: Figure) -> tuple[str, ...]:
    """One line of the table."""
    verdict = {True: "ok", False: "MISSED", None: ""}[figure.met]
    baseline = "" if figure.baseline is None else f"{short(figure.baseline)} {figure.against}"
    return (
        figure.row,
        figure.what,
        f"{short(figure.value)} {figure.unit}",
        baseline,
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
        str(figure.target or ""),
        f"{verdict} {figure.note}".strip(),
    )


def short(number: float) -> str:
    """Three digits that mean something, and no more decimals than that takes."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"
