"""Reading: a message as a row of items: marks, nouns that name something in the database, numbers, unknown words.

Says what each word is, not yet what the question means; `subject` and `understand` do that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from databot.providers.offline.catalog import Database
from databot.providers.offline.lexicon import HARD, MONEY, NEUTRAL
from databot.providers.offline.names import MAX_WORDS, NameIndex, Target, index
from databot.providers.offline.phrases import clean, rewrite
from databot.providers.offline.question import Period
from databot.providers.offline.times import find_periods
from databot.providers.offline.words import Token, name_words, singular, tokens

ItemKind = Literal["mark", "noun", "number", "date", "value", "unknown", "operator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A piece of a question that means something.

    `name` and `argument` belong to marks, `targets` to nouns. `at` is the position of its first token. A noun may be a
    word for money without naming any column.
    """

    kind: ItemKind
    text: str
    at: int
    end: int
    name: str = ""
    argument: str = ""
    targets: tuple[Target, ...] = ()
    money: bool = False
    plural: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables it may name: those named best."""
        found = [target for target in self.targets if not target.column]
        best = max((target.weight for target in found), default=0.0)
        return tuple(target.table for target in found if target.weight == best)

    @property
    def columns(self) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if target.column)

    @property
    def whole(self) -> bool:
        """Named by its whole name, not by a part of it."""
        return any(target.weight >= 0.9 for target in self.targets) or self.names_table

    @property
    def names_table(self) -> bool:
        """A table rather than a column: where both fit equally well the table wins."""
        table = max((t.weight for t in self.targets if not t.column), default=0.0)
        return table > 0 and table >= max((t.weight for t in self.columns), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The items in order, the periods that `period` marks point at, and every word for finding values."""

    items: tuple[Item, ...]
    periods: tuple[Period, ...]
    lemmas: tuple[tuple[int, str], ...]
    note: str = ""
    """How its words were read, where they are not the names themselves."""
    states: bool = False
    """Read "closed tickets" as those that have a `closed_at`."""

    def marks(self, *names: str) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "mark" and item.name in names)

    def has(self, *names: str) -> bool:
        return bool(self.marks(*names))

    @property
    def nouns(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == "noun")

    @property
    def strange(self) -> tuple[Item, ...]:
        """What names nothing: values perhaps."""
        return tuple(item for item in self.items if item.kind in {"unknown", "value"})


def read(text: str, database: Database, *, strict: bool = False) -> Reading:
    """The items of a message about this database; `strict` takes only whole names for names."""
    names = index(database)
    without_times, periods = find_periods(names.shielded(clean(text)))
    found = tokens(rewrite(without_times))
    items = tuple(_items(found, names, strict))
    lemmas = tuple((at, t.lemma) for at, t in enumerate(found) if t.kind in {"word", "number"})
    timed = bool(periods) or any(item.name == "grain" for item in items)
    items = tuple(item for item in items if not (timed and _is_new(item)))
    items = tuple(_numbered(items))
    return Reading(items=_settled(items, names), periods=periods, lemmas=lemmas)


def _is_new(item: Item) -> bool:
    """The word in "new customers per month": they are the customers of each month."""
    return item.kind == "unknown" and item.text.casefold() == "new"


def _items(found: Sequence[Token], names: NameIndex, strict: bool) -> Iterator[Item]:
    at = 0
    while at < len(found):
        token = found[at]
        if token.kind == "word":
            item, used = _word(found, at, names, strict)
            at += used
        else:
            item = _other(token, at, names)
            at += 1
        if item:
            yield item


def _other(token: Token, at: int, names: NameIndex) -> Item | None:
    match token.kind:
        case "mark" if token.lemma == "name":
            words = tuple(
                Token(kind="word", text=part, lemma=singular(part))
                for part in token.argument.replace("_", " ").split()
            )
            targets = names.named([word.lemma for word in words])
            return replace(_noun(words, at, targets), end=at + 1)
        case "mark":
            return Item(
                kind="mark", text="", at=at, end=at + 1, name=token.lemma, argument=token.argument
            )
        case "quoted":
            targets = names.by_spelling.get(token.lemma, ())
            if token.argument and not targets:
                targets = names.named(name_words(token.text))
            return Item(
                kind="noun" if targets else "value",
                text=token.text,
                at=at,
                end=at + 1,
                targets=targets,
            )
        case "number":
            return Item(kind="number", text=token.lemma, at=at, end=at + 1)
        case "date":
            return Item(kind="date", text=token.lemma, at=at, end=at + 1)
        case _:
            return Item(kind="operator", text=token.text, at=at, end=at + 1)


def _word(
    found: Sequence[Token], at: int, names: NameIndex, strict: bool
) -> tuple[Item | None, int]:
    run = _run(found, at)
    for size in range(len(run), 0, -1):
        words = run[:size]
        if size == 1 and words[0].lemma in HARD:
            break
        targets = names.named([word.lemma for word in words], strict=strict)
        if targets and (size > 1 or _means_it(words[0], targets)):
            return _noun(words, at, targets), size
    token = found[at]
    if token.lemma in MONEY:
        return _noun(run[:1], at, ()), 1
    if token.lemma in NEUTRAL or token.text.casefold() in NEUTRAL or token.lemma in HARD:
        return None, 1
    return Item(kind="unknown", text=token.text, at=at, end=at + 1), 1


def _means_it(word: Token, targets: Sequence[Target]) -> bool:
    """A word of the usual kind names something only where that is its whole name."""
    usual = word.lemma in NEUTRAL or word.text.casefold() in NEUTRAL
    return not usual or targets[0].weight >= 0.8


def _run(found: Sequence[Token], at: int) -> tuple[Token, ...]:
    end = at
    while end < min(len(found), at + MAX_WORDS) and found[end].kind == "word":
        end += 1
    return tuple(found[at:end])


def _noun(words: Sequence[Token], at: int, targets: tuple[Target, ...]) -> Item:
    last = words[-1]
    return Item(
        kind="noun",
        text=" ".join(word.text for word in words),
        at=at,
        end=at + len(words),
        targets=targets,
        money=len(words) == 1 and last.lemma in MONEY,
        plural=last.text.casefold() != last.lemma,
    )


def _numbered(items: Sequence[Item]) -> Iterator[Item]:
    """An unknown word and the number right behind it are one value: "Firm 7"."""
    last: Item | None = None
    for item in items:
        joined = last is not None and last.kind == "unknown" and last.end == item.at
        if last is not None and joined and item.kind == "number":
            last = replace(last, kind="value", text=f"{last.text} {item.text}", end=item.end)
            continue
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last


def _settled(items: tuple[Item, ...], names: NameIndex) -> tuple[Item, ...]:
    """`total` is the name of a column where nothing follows that could be summed up."""
    targets = names.named(["total"])
    if not targets:
        return items
    settled: list[Item] = []
    for item, after in zip(items, (*items[1:], None), strict=True):
        alone = after is None or after.kind != "noun"
        if item.kind == "mark" and item.name == "sum" and alone:
            settled.append(
                Item(kind="noun", text="total", at=item.at, end=item.end, targets=targets)
            )
        else:
            settled.append(item)
    return tuple(settled)
