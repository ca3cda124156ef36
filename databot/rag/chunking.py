"""Documents cut into chunks that a small embedding model reads whole.

A chunk carries its headings in its title and never spans two sections. Code and tables are kept together where they fit,
and cut between lines, with the fence or the table's head repeated, where they do not. The same document always gives
the same chunks with the same ids. Pure.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from databot.rag.base import Chunk, Document
from databot.rag.markdown import Block, blocks
from databot.rag.text import clean, shortened

TARGET_TOKENS = 220
"""The model reads 256; the title takes the rest."""
OVERLAP_TOKENS = 30
TITLE_LIMIT = 160
MAX_WORD = 400
TABLE_HEAD = 2
"""Lines that are said again above each part of a table: its head and the rule under it."""
_TOKENS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]{1,6}|[^\w\s]|_+")
_SENTENCE = re.compile(r"(?<=[.!?;:\u3002\uff01\uff1f])\s+|\n+")


def chunk_document(document: Document) -> list[Chunk]:
    """The chunks of a document in reading order, no two alike; a document without text gives none."""
    chunks: dict[str, Chunk] = {}
    for title, text in _sections(document):
        for piece in _pieces(text):
            chunk = make_chunk(document, title, piece)
            chunks.setdefault(chunk.id, chunk)
    return list(chunks.values())


def make_chunk(document: Document, title: str, text: str) -> Chunk:
    """A chunk whose id is a hash of source, title and text: what has not changed keeps its id."""
    key = "\0".join((document.source, title, text)).encode("utf-8", "replace")
    name = hashlib.blake2b(key, digest_size=16).hexdigest()
    return Chunk(id=name, source=document.source, title=title, text=text, kind=document.kind)


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has, a little too many rather than too few."""
    return sum(1 for _ in _TOKENS.finditer(text))


def _sections(document: Document) -> Iterator[tuple[str, list[Block]]]:
    """Runs of blocks under one heading path; a document of headings alone is one section of them."""
    path: list[tuple[int, str]] = []
    held: list[Block] = []
    headings: list[Block] = []
    found = False
    for block in blocks(clean(document.text).replace("\r\n", "\n").replace("\r", "\n")):
        if block.kind != "heading":
            held.append(block)
            continue
        headings.append(block)
        if held:
            found = True
            yield _title(document, path), held
        path = [item for item in path if item[0] < block.level] + [(block.level, block.text)]
        held = []
    if held:
        yield _title(document, path), held
    elif headings and not found:
        yield _title(document, []), headings


def _title(document: Document, path: Iterable[tuple[int, str]]) -> str:
    """`Title > Section > Subsection`; the document's own title is not said twice."""
    parts = [" ".join(clean(document.title).split())]
    parts += [name for name in (" ".join(text.split()) for _, text in path) if name not in parts]
    return shortened(" > ".join(part for part in parts if part), TITLE_LIMIT)


def _pieces(section: Sequence[Block]) -> Iterator[str]:
    """The section's blocks packed into texts of at most `TARGET_TOKENS`, prose with a little overlap."""
    packed: list[str] = []
    size = 0
    for part, is_prose in _parts(section):
        tokens = estimate_tokens(part)
        if packed and size + tokens > TARGET_TOKENS:
            yield "\n\n".join(packed)
            overlap = _overlap(packed[-1], TARGET_TOKENS - tokens) if is_prose else ""
            packed, size = ([overlap], estimate_tokens(overlap)) if overlap else ([], 0)
        packed.append(part)
        size += tokens
    if packed:
        yield "\n\n".join(packed)


def _parts(section: Sequence[Block]) -> Iterator[tuple[str, bool]]:
    """Each block, cut only where it is too long by itself."""
    for block in section:
        if estimate_tokens(block.text) <= TARGET_TOKENS:
            yield block.text.strip("\n"), block.kind == "text"
        elif block.kind == "code":
            yield from ((part, False) for part in _cut_code(block.lines))
        elif block.kind == "table" and len(block.lines) > TABLE_HEAD:
            yield from (
                (part, False)
                for part in _cut_lines(block.lines[TABLE_HEAD:], block.lines[:TABLE_HEAD])
            )
        else:
            yield from ((part, True) for part in _cut_prose(block.text))


def _cut_code(lines: Sequence[str]) -> Iterator[str]:
    fence = lines[0].strip()
    mark = fence[: len(fence) - len(fence.lstrip(fence[0]))]
    closed = len(lines) > 1 and lines[-1].strip() == mark
    yield from _cut_lines(lines[1:-1] if closed else lines[1:], (fence,), (mark,))


def _cut_lines(
    lines: Sequence[str], head: Sequence[str], tail: Sequence[str] = ()
) -> Iterator[str]:
    """Runs of lines between a repeated head and tail."""
    room = max(TARGET_TOKENS - estimate_tokens("\n".join((*head, *tail))), TARGET_TOKENS // 2)
    head = tuple(shortened(line, MAX_WORD) for line in head)
    for run in _packed((part for line in lines for part in _cut_line(line)), room):
        yield "\n".join((*head, *run, *tail))


def _cut_prose(text: str) -> Iterator[str]:
    sentences = (part for part in _SENTENCE.split(text) if part.strip())
    room = TARGET_TOKENS - OVERLAP_TOKENS
    for run in _packed((part for line in sentences for part in _cut_line(line)), room):
        yield " ".join(part.strip() for part in run)


def _packed(parts: Iterable[str], room: int) -> Iterator[list[str]]:
    run: list[str] = []
    size = 0
    for part in parts:
        tokens = estimate_tokens(part)
        if run and size + tokens > room:
            yield run
            run, size = [], 0
        run.append(part)
        size += tokens
    if run:
        yield run


def _cut_line(line: str) -> Iterator[str]:
    """A line as it is; one that is too long between words; a word without end at `MAX_WORD` characters."""
    if len(line) <= MAX_WORD or estimate_tokens(line) <= TARGET_TOKENS // 2:
        for start in range(0, len(line) or 1, MAX_WORD * 4):
            yield line[start : start + MAX_WORD * 4]
        return
    words = (
        word[start : start + MAX_WORD]
        for word in line.split(" ")
        for start in range(0, len(word), MAX_WORD)
    )
    for run in _packed(words, TARGET_TOKENS // 2):
        yield " ".join(run)


def _overlap(text: str, room: int) -> str:
    """The last sentence of a text when it is short enough to be said again."""
    sentences = _SENTENCE.split(text.strip())
    last = sentences[-1] if len(sentences) > 1 else ""
    return last if 0 < estimate_tokens(last) <= min(OVERLAP_TOKENS, room) else ""
