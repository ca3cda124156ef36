r"""Phrases: the fixed turns of speech that steer a question, rewritten into marks.

A phrase becomes `\x01name:argument\x02`, which the reader of a question acts on. `lexicon` holds the single words.

Long because it is one table, read from top to bottom: an earlier rule hides words from the later ones.
"""

import re

from databot.providers.offline.words import listed

_MARKS: tuple[tuple[str, str], ...] = (
    # what is wanted of the answer
    (
        r"\b(?:(?:as|in|into|to|with|on)\s+)?(?:an?\s+)?(bar|column|line|area|scatter|pie)\s+(?:chart|graph|plot|diagram)s?\b",
        "chart:{0}",
    ),
    (
        r"\b(?:(?:as|in|into|on)\s+)?(?:an?\s+)?(?:chart|plot|graph|draw|visuali[sz]e|visuali[sz]ation|diagram|histogram)\b",
        "chart",
    ),
    (
        r"\b(?:(?:as|to|in|into)\s+)?(?:an?\s+)?(csv|excel|xlsx|parquet|spreadsheet)(?:\s+file)?\b",
        "export:{0}",
    ),
    (r"\b(?:export|download|save)\b", "export"),
    # time series
    (
        r"\b(?:per|by|each|every|for each|for every|grouped by|group by|over)\s+(?:the\s+)?(?:week\s?days?|days? of (?:the )?week)\b",
        "grain:weekday",
    ),
    (
        r"\b(?:per|by|each|every|for each|for every|grouped by|group by|over)\s+(?:the\s+)?hours? of (?:the )?day\b",
        "grain:hour_of_day",
    ),
    (
        r"\bbusiest\s+(hour|day|weekday|week|month|quarter|year)\b",
        "grain:{0} \x01top:1\x02",
    ),
    (r"\b(?:which|what)\s+(weekday|day of the week)\b", "which \x01grain:weekday\x02"),
    # the first of all
    (r"\b(?:very first|first ever)\b|\bfirst\b(?=\s+(?:\w+\s+){1,2}ever\b)", "oldest:1"),
    (
        r"\b(?:per|by|each|every|for each|for every|grouped by|group by)\s+(?:calendar\s+)?(hour|day|date|week|month|quarter|year)\b(?!\s+of\b)",
        "grain:{0}",
    ),
    (r"\b(hourly|daily|weekly|monthly|quarterly|yearly|annual|annually)\b", "grain:{0}"),
    (r"\b(?:over time|trend|trends|development|timeline|time series)\b", "grain:month"),
    (r"\b(?:which|what)\s+(hour|day|week|month|quarter|year)\b", "which \x01grain:{0}\x02"),
    # catalog
    (r"\b(?:what|which|list|show|display)\s+(?:me\s+)?(?:all\s+|the\s+|of\s+)*tables\b", "tables"),
    # groups and order
    (r"\b(?:sort|sorted|order|ordered|rank|ranked)(?:\s+(?:it|them|that|these))?\s+by\b", "sort"),
    (
        r"\b(?:(?:in\s+)?desc(?:ending)?(?:\s+order)?|(?:highest|largest|biggest|most|newest|latest)\s+first)\b",
        "descending",
    ),
    (
        r"\b(?:(?:in\s+)?asc(?:ending)?(?:\s+order)?|(?:lowest|smallest|least|oldest|earliest)\s+first)\b",
        "ascending",
    ),
    (
        r"\b(?:broken down by|break(?:ed)? (?:it |them |that )?down by|split by|grouped by|group by|for each|for every|in each|in every|within each|of each|by each|per each)\b",
        "by",
    ),
    (r"\bby\b", "by"),
    (r"\b(per|each|every)\b", "by:{0}"),
    # rankings
    (
        r"\b(?:top|best|first|highest|largest|biggest)\s+(\d{1,9})\s+(?:best[- ])?sell(?:ing|ers?)\b",
        "top:{0} \x01selling\x02",
    ),
    (r"\b(\d{1,9})\s+best[- ]sell(?:ing|ers?)\b", "top:{0} \x01selling\x02"),
    (r"\b(?:best|top)[- ]sell(?:ing|ers?)\b", "top \x01selling\x02"),
    (r"\b(?:worst|least)[- ]sell(?:ing|ers?)\b", "bottom \x01selling\x02"),
    (r"\bmost\s+(?:sold|bought|ordered|purchased)\b", "top \x01selling\x02"),
    (
        r"\b(?:the\s+)?(?:last|latest|newest|most recent|recent|youngest)\s+(\d{1,9})\b",
        "latest:{0}",
    ),
    (r"\b(?:the\s+)?(\d{1,9})\s+(?:latest|newest|most recent|last)\b", "latest:{0}"),
    (r"\b(?:latest|newest|youngest|most recent|recent|last(?!\s+names?\b))\b", "latest"),
    (r"\b(?:oldest|earliest)\s+(\d{1,9})\b", "oldest:{0}"),
    (r"\b(\d{1,9})\s+(?:oldest|earliest)\b", "oldest:{0}"),
    (r"\b(?:oldest|earliest)\b", "oldest"),
    (r"\b(\d{1,9})\s+most\s+expensive\b", "top:{0} \x01price\x02"),
    (r"\b(?:top\s+)?(\d{1,9})\s+(?:cheapest|least expensive)\b", "bottom:{0} \x01price\x02"),
    (r"\bmost expensive\b", "top \x01price\x02"),
    (r"\b(?:cheapest|least expensive)\b", "bottom \x01price\x02"),
    (r"\bmost\s+(?:common|frequent|popular|used|active)\b", "top \x01frequent\x02"),
    (r"\bleast\s+(?:common|frequent|popular|used|active)\b", "bottom \x01frequent\x02"),
    (r"\b(?:top|best|highest|largest|biggest|greatest)\s+(\d{1,9})\b", "top:{0}"),
    (r"\b(\d{1,9})\s+(?:top|best|highest|largest|biggest|greatest)\b", "top:{0}"),
    (r"\b(?:bottom|worst|lowest|smallest)\s+(\d{1,9})\b", "bottom:{0}"),
    (r"\b(\d{1,9})\s+(?:bottom|worst|lowest|smallest)\b", "bottom:{0}"),
    (
        r"\b(?:first|show|list|limit|only|just)\s+(\d{1,9})\b(?!\s*(?:days?|weeks?|months?|years?))",
        "first:{0}",
    ),
    (r"\b(?:top|best|highest|largest|biggest|greatest|(?<!at )most)\b", "top"),
    (r"\b(?:bottom|worst|lowest|smallest|(?<!at )least|fewest)\b", "bottom"),
    # numbers over rows
    (r"\bhow many\s+(?:different|distinct|unique)\b", "count \x01distinct\x02"),
    (
        r"\b(?:how m[ea]n[yi]|(?:the\s+)?(?:total\s+)?(?:number|count|nr|no\.) of|count(?:\s+(?:of|the|all))*)\b",
        "count",
    ),
    (r"\b(?:average|avg|mean|averaged)\b", "avg"),
    (r"\b(?:minimum|min)\b", "min"),
    (r"\b(?:maximum|max)\b", "max"),
    (r"\b(?:sum|total|overall|altogether|combined)(?:\s+(?:of|up))?\b", "sum"),
    (r"\b(?:what|which)?\s*(?:percentage|percent|share|proportion|fraction|part)\s+of\b", "share"),
    (r"%\s+of\b", "share"),
    (r"\bhow much\b", "sum"),
    (r"\b(?:distinct|unique|different|possible)\b", "distinct"),
    # comparisons
    (
        r"\b(?:is |are |was |were )?(?:greater than or equal to|at least|no less than)(?=\W)",
        "cmp:>=",
    ),
    (
        r"\b(?:is |are |was |were )?(?:less than or equal to|at most|no more than|up to)(?=\W)",
        "cmp:<=",
    ),
    (
        r"\b(?:is |are |was |were )?(?:over|above|more than|greater than|bigger than|larger than|higher than|exceeding|exceeds?)\b",
        "cmp:>",
    ),
    (
        r"\b(?:is |are |was |were )?(?:under|below|less than|fewer than|smaller than|lower than|cheaper than)\b",
        "cmp:<",
    ),
    (r"\b(?:is |are )?(?:exactly|equal to|equals)\b", "cmp:="),
    (r"\bbetween\b", "cmp:between"),
    # negation
    (
        r"\b(?:that |which )?(?:(?:were|was|are|have|has)\s+)?(?:never|not yet)\s+(?:been\s+)?(?:sold|ordered|bought|purchased|used|rented|booked)\b",
        "unused",
    ),
    (
        r"\b(?:that|which|who)?\s*(?:have|has|had|are|is|were|was|do|does|did)(?:n[o']t| not| never)\b",
        "not",
    ),
    (r"\b(?:not|except|excluding|exclude|other than|but not|no longer|never|isnt|arent)\b", "not"),
    (r"\b(?:without|with no|with zero|having no|have no|has no|had no)(?:\s+any)?\b", "without"),
    (r"\b(?:missing|empty|null)\b", "missing"),
    # verbs of showing, and follow-ups
    (r"\b(?:which|what|who)\b", "which"),
    (r"\b(?:list|show|display|see|view|give me|get|print|browse|find|fetch)\b", "show"),
    (r"\b(?:only|just)\b", "only"),
    (r"\b(?:vs\.?|versus|compared (?:to|with))(?!\w)", "or \x01versus\x02"),
    (r"\b(?:or)\b", "or"),
    (r"\b(?:and|plus)\b|&", "and"),
)
_RULES = tuple((re.compile(pattern, re.IGNORECASE), mark) for pattern, mark in _MARKS)
_NUMBER_WORDS = dict(
    zip(
        listed(
            """
    two three four five six seven eight nine ten twelve twenty fifty hundred
    """
        ),
        listed(
            """
    2 3 4 5 6 7 8 9 10 12 20 50 100
    """
        ),
        strict=True,
    )
)
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_ONE = re.compile(
    r"\b(at least|at most|more than|fewer than|less than|exactly|over)\s+one\b(?!\s+of)",
    re.IGNORECASE,
)
_CURRENCY = re.compile(
    r"[$€£]\s*(\d[\d.,]*[km]?)\b|\b(\d[\d.,]*[km]?)\s*(?:[$€£]|(?:euros?|eur|dollars?|usd|pounds?|gbp|chf)\b)",
    re.IGNORECASE,
)
"""Money says no more than its number."""
_SEGMENT = re.compile(
    r"(\x01[^\x02]*\x02|\b(?!(?:best|top|worst|least|non|year|so)-)[^\W\d_]+(?:-\w+)+|\"[^\"]{1,200}\"|(?<!\w)'[^']{1,200}'(?!\w)|`[^`]{1,200}`|“[^”]{1,200}”)"
)


def clean(text: str) -> str:
    """Without control characters, bounded: a question is not longer than a page."""
    plain = _CONTROL.sub(" ", text[:4_000]).replace("\u2019", "'")
    return _ONE.sub(r"\1 1", _CURRENCY.sub(r"\1\2", plain))


def rewrite(text: str) -> str:
    """Steering phrases become marks; text in quotes is left alone."""
    for pattern, mark in ((_NUMBER_WORD, "number"), *_RULES):
        parts = _SEGMENT.split(text)
        parts[::2] = [_replaced(part, pattern, mark) for part in parts[::2]]
        text = "".join(parts)
    return text


def _replaced(part: str, pattern: re.Pattern[str], mark: str) -> str:
    if mark == "number":
        return pattern.sub(lambda match: _NUMBER_WORDS[match[1].lower()], part)
    head, space, tail = mark.partition(" ")

    def substitute(match: re.Match[str]) -> str:
        argument = match[1].lower() if match.re.groups else ""
        first = head.format(argument) if head != "which" else head
        return f" \x01{first}\x02{space}{tail.format(argument)} "

    return pattern.sub(substitute, part)
