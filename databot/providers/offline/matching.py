"""Matching: which of the values that were found the words of a question mean, and the filters they become."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from databot.providers.offline.catalog import ColumnRef
from databot.providers.offline.draft import Strange
from databot.providers.offline.question import Contains, OneOf
from databot.providers.offline.values import Value
from databot.providers.offline.words import name_words

MIN_LIKENESS = 84.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A value that words of the question mean; `exact` when they are its very words."""

    value: Value
    positions: frozenset[int]
    quality: int


def match(
    strange: Sequence[Strange], lemmas: Sequence[tuple[int, str]], values: Sequence[Value]
) -> tuple[Match, ...]:
    """The values that the strange words mean, each word in at most one, the best first."""
    open_words = {one.at: one for one in strange}
    scored = [found for value in values for found in _matches(value, open_words, lemmas)]
    order = {value: n for n, value in enumerate(values)}
    scored.sort(
        key=lambda m: (-m.quality, -len(m.positions), _unhinted(m, open_words), order[m.value])
    )
    chosen: list[Match] = []
    covered: dict[int, Match] = {}
    for one in scored:
        fresh = one.positions & open_words.keys()
        rivals = [covered[at] for at in fresh if at in covered]
        same = all(
            r.quality == one.quality == 1 and r.value.column == one.value.column for r in rivals
        )
        if fresh and (not rivals or same):
            chosen.append(one)
            covered |= {at: one for at in fresh if at not in covered}
    return tuple(chosen)


def _unhinted(found: Match, words: dict[int, Strange]) -> int:
    hinted = any(found.value.column in words[at].hints for at in found.positions if at in words)
    return 0 if hinted else 1


def _matches(
    value: Value, words: dict[int, Strange], lemmas: Sequence[tuple[int, str]]
) -> list[Match]:
    """3: the value's very words stand in the question; 2: nearly; 1: the value has the word among others."""
    found: list[Match] = []
    own = name_words(value.value)
    for start in range(len(lemmas) - len(own) + 1):
        window = lemmas[start : start + len(own)]
        positions = frozenset(at for at, _ in window)
        if own and tuple(lemma for _, lemma in window) == own and positions & words.keys():
            found.append(Match(value=value, positions=positions, quality=3))
    for at, one in words.items():
        said = name_words(one.text)
        if one.quoted:
            same = one.text.casefold() == value.value.casefold() or said == own
            inside = one.text.casefold() in value.value.casefold()
            quality = 3 if same else 1 if inside else 0
        else:
            alike = len(one.text) >= 4 and _alike(" ".join(said), " ".join(own))
            alike = alike or _initials(one.text, own)
            quality = 2 if alike else 1 if said and set(said) <= set(own) else 0
        if quality:
            found.append(Match(value=value, positions=frozenset({at}), quality=quality))
    return found


def _initials(said: str, own: Sequence[str]) -> bool:
    """Whether capitals are those of the value's words: UK, USA."""
    letters = "".join(word[0] for word in own if word not in {"of", "the", "and"})
    return said.isupper() and len(said) > 1 and said.casefold() == letters


def _alike(said: str, own: str) -> bool:
    """Nearly the same letters; a digit more or less is another thing altogether."""
    digits = [character for character in said if character.isdigit()]
    same = digits == [character for character in own if character.isdigit()]
    return same and fuzz.ratio(said, own) >= MIN_LIKENESS


def filters(matches: Sequence[Match], strange: Sequence[Strange]) -> tuple[OneOf | Contains, ...]:
    """One filter a column; its values are alternatives. Words inside longer values are looked for as such."""
    negated = {one.at for one in strange if one.negated}
    by_column: dict[tuple[ColumnRef, bool], list[Match]] = {}
    for one in matches:
        key = (one.value.column, bool(one.positions & negated))
        by_column.setdefault(key, []).append(one)
    return tuple(
        _filter(column, found, strange, negated=no) for (column, no), found in by_column.items()
    )


def _filter(
    column: ColumnRef, found: Sequence[Match], strange: Sequence[Strange], *, negated: bool
) -> OneOf | Contains:
    values = tuple(dict.fromkeys(one.value.value for one in found))
    if len(values) == 1 or all(one.quality > 1 for one in found):
        return OneOf(column=column, values=values, negated=negated)
    covered = frozenset().union(*(one.positions for one in found))
    return Contains(column=column, phrases=_phrases(strange, covered), negated=negated)


def _phrases(strange: Sequence[Strange], covered: frozenset[int]) -> tuple[tuple[str, ...], ...]:
    """The words that stand side by side belong together; others are alternatives."""
    phrases: list[list[str]] = []
    last = -2
    for one in sorted(strange, key=lambda one: one.at):
        if one.at in covered:
            if one.at == last + 1:
                phrases[-1].append(one.text)
            else:
                phrases.append([one.text])
            last = one.at
    return tuple(tuple(phrase) for phrase in phrases)


def unmatched(strange: Sequence[Strange], matches: Sequence[Match]) -> tuple[Strange, ...]:
    """The words that were found nowhere."""
    covered = {at for one in matches for at in one.positions}
    return tuple(one for one in strange if one.at not in covered)
