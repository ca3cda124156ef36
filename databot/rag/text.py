"""Small pure functions on text: what cannot be stored or encoded is taken out, questions become search words."""

import re

MAX_TERMS = 24
_WORD = re.compile(r"[^\W_]+")
_GREETING = re.compile(r"\bgood (?:morning|afternoon|evening|night|day)\b")
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NO_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
STOP_WORDS = frozenset(
    word
    for line in (
        "a about after all also am an and any are as at be been before between but by can could did",
        "do does done during each few find for from get give had has have having he hello help her",
        "here hey hi him his how i if in into is it its just know let like list lot made make many",
        "may me more most much must my need no not now of off on one only or other our out over per",
        "please same she should show so some such tell than thank thanks that the their them then",
        "there these they thing things this those through to too under until up us use used want was",
        "way we were what when where which while who whom whose why will with within without would",
        "yes you your",
    )
    for word in line.split()
)
"""Words that tell nothing about what is asked; greetings are among them, so that they find nothing."""


def clean(text: str) -> str:
    """`text` without control characters and lone surrogates, which no store or tokenizer takes."""
    return _UNSTORABLE.sub(" ", text)


def name_line(name: str) -> str:
    """The name of a file as one line that can be stored and shown: control characters and bytes that are no text as escapes."""
    return _NO_LINE.sub(lambda match: match.group().encode("unicode_escape").decode(), name)


def search_terms(query: str) -> list[str]:
    """The distinct telling words of a question, in order, at most `MAX_TERMS`; empty for mere greetings."""
    terms: dict[str, None] = {}
    for match in _WORD.finditer(_GREETING.sub(" ", query.lower())):
        word = match.group()
        if word not in STOP_WORDS and (len(word) > 1 or word.isdigit()):
            terms[word[:64]] = None
            if len(terms) == MAX_TERMS:
                break
    return list(terms)


def shortened(text: str, limit: int) -> str:
    """`text` cut at a word's end where that is near, at most `limit` characters with the ellipsis."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ", limit * 3 // 4)
    return (cut[:space] if space > 0 else cut).rstrip() + "…"
