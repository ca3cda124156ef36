"""Limits: words that were read and would be lost, and combinations that no single SELECT of this analyst says.

Each is refused by name, because the nearest question it could answer is another one.
"""

from collections.abc import Iterator

from databot.providers.offline.asked import Asked
from databot.providers.offline.measures import Chosen
from databot.providers.offline.question import Function
from databot.providers.offline.reading import Item, Reading

_COUNTED = ("top", "bottom", "first", "latest", "oldest")


_SAID: dict[Function, str] = {
    "sum": "the sum",
    "avg": "the average",
    "min": "the lowest",
    "max": "the highest",
}


def unused(asked: Asked, subject: str, groups: int, chosen: Chosen | None) -> str:
    """What was said and would be lost: then there is no answer rather than a wrong one. Empty when all is used."""
    reasons = (*_combined(asked, groups, chosen), *_left(asked, groups, chosen))
    lost = next((reason for reason in reasons if reason), "")
    ranked = bool(asked.roles.target)
    return (
        lost or odd_marks(asked.reading, ranked=ranked) or _unused_function(asked, subject, chosen)
    )


def _left(asked: Asked, groups: int, chosen: Chosen | None) -> Iterator[str]:
    """Groups, numbers and prices that nothing was found for."""
    reading, roles, numbers = asked.reading, asked.roles, asked.numbers()
    if groups < len(roles.groups) + int(bool(roles.target) and asked.ranks_groups):
        yield f"I cannot group by “{' and '.join(item.text for item in roles.groups)}”"
    if numbers and chosen is None and not asked.row_order():
        yield f"I do not know what to do with “{numbers[0].text}” there"
    if reading.has("price") and roles.target and not asked.row_order():
        yield f"I find no price of “{roles.target.text}”"
    if reading.has("by") and not roles.groups and not reading.strange and not numbers:
        yield "I do not see what to group by"


def _combined(asked: Asked, groups: int, chosen: Chosen | None) -> Iterator[str]:
    """What would need more than one query, or one of another kind."""
    reading = asked.reading
    if reading.has("share") and asked.numbers():
        yield "I work out shares of rows, not of amounts"
    if reading.has("latest", "oldest") and (groups or chosen or reading.has("count")):
        yield "I show the latest rows, and cannot put that together with the rest of the question"
    averaged = chosen is not None and chosen.measure.per and chosen.measure.function == "count"
    if reading.has("count") and reading.has("avg", "min", "max") and not averaged:
        yield "I cannot work out a count together with averages or extremes"
    if asked.roles.target and asked.ranks_groups and any(m.argument for m in reading.marks("by")):
        yield "I rank over all of them, not within each group"
    pair = next(_pairs(asked), None)
    if pair:
        yield f"I look at one thing at a time, and “{pair[0].text}” and “{pair[1].text}” are two"


def _pairs(asked: Asked) -> Iterator[tuple[Item, Item]]:
    """Two things joined by "and" that would each need a query: "customers and orders"."""
    items = asked.reading.items
    grouped = next((item.at for item in items if item.name == "by"), None)
    for first, joint, second in zip(items, items[1:], items[2:], strict=False):
        both = first.kind == second.kind == "noun" and joint.kind == "mark" and joint.name == "and"
        if not both or (grouped is not None and grouped < first.at):
            continue
        numbers = [item for item in (first, second) if item in asked.roles.measures]
        things = all(item.names_table or item in numbers for item in (first, second))
        if things and len(numbers) < 2:
            yield first, second


def _unused_function(asked: Asked, subject: str, chosen: Chosen | None) -> str:
    """A function that nothing was found for: "max remark", "the highest number of …" of counts."""
    function: Function | None = next((one for one in asked.functions() if one != "count"), None)
    if not (subject or chosen):
        return ""
    if function is None:
        return "I cannot take averages or extremes of counts" if _unused_rank(asked) else ""
    follower = _after_function(asked.reading)
    words = follower is not None and not follower.names_table and follower in asked.roles.free
    if chosen is None or words:
        what = f"“{follower.text}”: it holds no numbers" if words and follower else "that"
        return f"I cannot take {_SAID[function]} of {what}"
    counted = chosen.measure.function == "count" and chosen.measure.per is None
    return "I cannot take averages or extremes of counts" if counted and function != "sum" else ""


def _unused_rank(asked: Asked) -> bool:
    """In "the highest number of orders" nothing is named that could have it."""
    ranks, roles = asked.reading.marks("top", "bottom"), asked.roles
    return bool(ranks) and not (roles.target or roles.limits or asked.reading.has("grain"))


def _after_function(reading: Reading) -> Item | None:
    marks = reading.marks("sum", "avg", "min", "max")
    behind = (item for item in reading.items if marks and item.at > marks[-1].at)
    first = next(behind, None)
    return first if first is not None and first.kind == "noun" else None


def odd_marks(reading: Reading, *, ranked: bool) -> str:
    """Why the steering words cannot be followed together; empty when they can. `ranked`: something is ranked."""
    if len(reading.marks("count")) > 1:
        return "I count one thing at a time"
    if any(mark.argument.strip("0") == "" and mark.argument for mark in reading.marks(*_COUNTED)):
        return "I cannot show none of them: say how many you want"
    if ranked and len({mark.name for mark in reading.marks("top", "bottom")}) > 1:
        return "I rank from one end at a time"
    if reading.has("price", "selling", "frequent") and not ranked:
        return "I do not see what is to be ranked"
    return _odd_periods(reading)


def _odd_periods(reading: Reading) -> str:
    """Two stretches of time at once; only "since … until …" makes one of two."""
    found = reading.periods
    if len(found) < 2:
        return ""
    starts = [one for one in found if one.start and not one.end]
    ends = [one for one in found if one.end and not one.start]
    if len(found) == 2 and len(starts) == len(ends) == 1:
        return ""
    return "I look at one period at a time"
