"""Assignment: giving every item of a reading its role.

Works on the order of words alone; what the words name in the database is settled in `understand`.
"""

from collections.abc import Sequence
from dataclasses import replace

from databot.providers.offline.question import Comparator
from databot.providers.offline.reading import Item, Reading
from databot.providers.offline.roles import FUNCTIONS, Comparison, Roles

_OPERATORS: dict[str, Comparator] = {
    "=": "=",
    "!=": "!=",
    "<>": "!=",
    ">": ">",
    ">=": ">=",
    "<": "<",
    "<=": "<=",
}


def assign(reading: Reading, numeric: frozenset[int]) -> Roles:
    """Give every item its role; `numeric` are the positions of nouns that name numbers."""
    roles = Roles()
    zone = "free"
    items = reading.items
    at = 0
    while at < len(items):
        item = items[at]
        if item.kind == "mark":
            follower = items[at + 1] if at + 1 < len(items) else None
            if item.name == "not" and follower and follower.name in {"period", "cmp", "grain"}:
                roles.lost.append(item)  # "not in 2024", "not over 100"
            zone = _zone(zone, item, roles, reading)
            at += _comparison(items, at, roles) if item.name == "cmp" else 1
        elif item.kind == "operator" and item.text != ",":
            at += _comparison(items, at, roles)
        elif item.kind == "number":
            _equality(items, at, roles)
            at += 1
        elif item.kind == "noun":
            zone = _noun(item, "group" if _joins_grain(items, at) else zone, roles, numeric)
            at += 1
        else:
            _other(items, at, roles)
            at += 1
    if reading.has("latest", "oldest"):  # "the last customers that signed up"
        times = [i for i in roles.measures if not i.names_table and i.at not in numeric]
        roles.free.extend(times)
        roles.measures = [item for item in roles.measures if item not in times]
    _settle_missing(roles, reading)
    _settle_shown(roles, reading)
    _settle_rank(roles, reading)
    return roles


def _joins_grain(items: Sequence[Item], at: int) -> bool:
    """The second group of "by month and country"."""
    return at > 1 and items[at - 1].name == "and" and items[at - 2].name == "grain"


def _settle_missing(roles: Roles, reading: Reading) -> None:
    """What is missing may stand before the word: "where the email is empty"."""
    marks = reading.marks("missing")
    if marks and not roles.missing:
        before = [item for item in [*roles.free, *roles.measures] if item.at < marks[0].at]
        if before and not before[-1].names_table:
            (roles.free if before[-1] in roles.free else roles.measures).remove(before[-1])
            roles.missing.append(before[-1])
        else:
            roles.lost.append(marks[0])


def _settle_shown(roles: Roles, reading: Reading) -> None:
    """In "list products with their price" the numbers named are shown, and nothing is computed."""
    computing = reading.has(*FUNCTIONS, "by", "grain", "top", "bottom", "share")
    if reading.has("show") and not computing and any(item.names_table for item in roles.free):
        compared = {one.about.at for one in roles.comparisons if one.about}
        shown = [i for i in roles.measures if i.columns and i.at not in compared]
        roles.free.extend(shown)
        roles.measures = [item for item in roles.measures if item not in shown]


def _zone(zone: str, mark: Item, roles: Roles, reading: Reading) -> str:
    match mark.name:
        case "by":
            ranked = (
                reading.has("top", "bottom") and roles.target is not None and not roles.measures
            )
            return "measure" if ranked else "group"
        case "top" | "bottom" | "latest" | "oldest":
            return "ranked"
        case "without" | "missing" | "not" | "sort":
            return mark.name
        case "and" | "or" | "which" | "show" | "sum" | "avg" | "min" | "max" | "distinct":
            return zone
        case "count":
            return "measure" if zone in {"ranked", "measure"} else zone
        case _:
            return "free"


def _noun(item: Item, zone: str, roles: Roles, numeric: frozenset[int]) -> str:
    is_number = item.at in numeric
    match zone:
        case "group":
            roles.groups.append(item)
        case "sort":
            roles.sorts.append(item)
        case "measure":
            roles.measures.append(item)
        case "ranked" if not is_number and roles.target is None and not roles.measures:
            roles.target = item
            return "ranked"
        case "ranked":
            roles.measures.append(item)
        case "without" | "missing" | "not":
            {"not": roles.negated, "without": roles.without}.get(zone, roles.missing).append(item)
            return "free" if zone == "not" else zone
        case _:
            (roles.measures if is_number else roles.free).append(item)
            return "free"
    return zone


def _settle_rank(roles: Roles, reading: Reading) -> None:
    """In "which country has the most orders" what stands before the ranking word is ranked, what follows measures."""
    ranks = reading.marks("top", "bottom")
    roles.limits = bool(ranks) and _limits(ranks[0], roles, reading)
    if not ranks or roles.limits:
        return
    grains = reading.marks("grain")
    if grains and grains[0].at < ranks[0].at and roles.target is not None and not roles.measures:
        roles.measures.append(roles.target)  # "which month had the most orders"
        roles.target = None
    before = [item for item in roles.free if item.at < ranks[0].at]
    if before:
        if roles.target is not None:
            roles.measures.insert(0, roles.target)
        # In "employees closed the most tickets" the thing is ranked, not what it did.
        roles.target = next((item for item in reversed(before) if item.whole), before[-1])
        roles.free.remove(roles.target)
    elif roles.target is None and not roles.measures and roles.free:
        roles.target = roles.free.pop(0)
    elif roles.target is None and reading.has("grain") and roles.free:
        roles.measures.extend(roles.free)
        roles.free.clear()


def _limits(rank: Item, roles: Roles, reading: Reading) -> bool:
    """Whether the ranking word comes last, behind what is grouped by."""
    grouped = bool(roles.groups) or reading.has("grain")
    last = max((item.at for item in reading.nouns), default=0)
    return grouped and rank.at > last and not reading.has("which")


def _comparison(items: Sequence[Item], at: int, roles: Roles) -> int:
    """Read `over 100`, `between 1 and 5`, `= 3`; gives how many items that were."""
    sign = items[at].argument or items[at].text
    numbers = [item for item in items[at + 1 : at + 4] if item.kind in {"number", "mark"}]
    after = items[at + 1 : at + 2]
    if not after or after[0].kind != "number":
        if sign not in _OPERATORS or sign not in {"=", "!=", "<>"}:
            roles.lost.append(items[at])
        return 1
    before = items[at - 1] if at else None
    if sign == "between":
        pair = [item.text for item in numbers if item.kind == "number"][:2]
        if len(pair) < 2:
            roles.lost.append(items[at])
            return 1
        about = _about(before, items, at + 4)
        roles.comparisons.append(Comparison(operator=">=", value=pair[0], about=about))
        roles.comparisons.append(Comparison(operator="<=", value=pair[1], about=about))
        return 4
    about = _about(before, items, at + 2)
    counted = about is not None and about.at > after[0].at
    roles.comparisons.append(
        Comparison(operator=_OPERATORS[sign], value=after[0].text, about=about, counted=counted)
    )
    return 2


def _about(before: Item | None, items: Sequence[Item], after: int) -> Item | None:
    follower = items[after] if after < len(items) else None
    counted = follower is not None and follower.names_table and follower.at == items[after - 1].end
    if before is not None and before.kind == "noun" and not counted:
        return before
    return follower if follower is not None and follower.kind == "noun" else None


def _equality(items: Sequence[Item], at: int, roles: Roles) -> None:
    """A number right behind a noun is its value: `order 17`, `rating 5`; before a table's it counts: `5 orders`."""
    before = items[at - 1] if at else None
    after = items[at + 1] if at + 1 < len(items) else None
    if after is not None and after.names_table and after.at == items[at].end:
        counted = Comparison(operator="=", value=items[at].text, about=after, counted=True)
        roles.comparisons.append(counted)
    elif before is not None and _has_value(before, items[at]):
        roles.comparisons.append(Comparison(operator="=", value=items[at].text, about=before))
    elif _is_alternative(items, at) and roles.comparisons:
        last = roles.comparisons[-1]
        roles.comparisons[-1] = replace(last, also=(*last.also, items[at].text))
    else:
        roles.lost.append(items[at])


def _has_value(noun: Item, number: Item) -> bool:
    """A column may stand apart from its value, a thing from its number may not."""
    return noun.kind == "noun" and (not noun.names_table or noun.end == number.at)


def _is_alternative(items: Sequence[Item], at: int) -> bool:
    """The second number of "quality 0 or 2"."""
    joint = items[at - 1] if at else None
    joins = joint is not None and (joint.name in {"or", "and"} or joint.text == ",")
    return joins and items[at - 2].kind == "number"


def is_between(item: Item) -> bool:
    """Whether a column's name reaches over this to the values behind: "status is not x or y"."""
    joins = item.kind == "mark" and item.name in {"or", "and", "not", "cmp"}
    return joins or item.kind in {"unknown", "value", "operator"}


def _other(items: Sequence[Item], at: int, roles: Roles) -> None:
    item = items[at]
    if item.kind in {"unknown", "value"}:
        before = next((i for i in reversed(items[:at]) if not is_between(i)), None)
        after = items[at + 1] if at + 1 < len(items) else None
        beside = after is not None and after.kind == "noun" and after.at == item.end
        hint = before if before is not None and before.kind == "noun" else None
        if after is not None and beside and not after.names_table:
            hint = after  # "high severity"
        roles.strange.append((item, _is_negated(items, at), hint))
    elif item.kind == "date":
        roles.lost.append(item)


def _is_negated(items: Sequence[Item], at: int) -> bool:
    """A "not" reaches over the values that follow it, until something else than "or" stands between."""
    for item in reversed(items[:at]):
        if (item.kind == "mark" and item.name in {"not", "without"}) or item.text in {"!=", "<>"}:
            return True
        joins = item.kind == "mark" and item.name in {"or", "and"}
        if item.kind not in {"unknown", "value"} and not joins:
            break
    return False
