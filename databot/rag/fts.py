"""Chunks in SQLite's full-text index, on one connection, blocking.

Every (tenant, kind) has tables of its own, so that a search cannot see another tenant's words even by mistake. The
file is derived data: when it is damaged it can be deleted and is filled again by the next sync. `lexical.py` keeps this
off the event loop.
"""

import hashlib
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from databot.rag.base import Chunk, Kind, Passage
from databot.rag.text import search_terms

CANDIDATES = 60
"""How many of the best by bm25 are looked at more closely."""
COUNT_LIMIT = 2_000
"""A word in more chunks than this counts as in this many: counting on would cost time and tell nothing."""
BUSY_S = 3.0
UNKNOWN_WEIGHT = 1.0
COVERAGE_SHARE = 0.8

_SCHEMA = """
CREATE TABLE IF NOT EXISTS {t} (
  rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, source TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS {t}_source ON {t} (source);
CREATE VIRTUAL TABLE IF NOT EXISTS {t}_words USING fts5 (
  title, text, content = '{t}', content_rowid = 'rowid', tokenize = 'porter unicode61 remove_diacritics 2');
CREATE TRIGGER IF NOT EXISTS {t}_added AFTER INSERT ON {t} BEGIN
  INSERT INTO {t}_words (rowid, title, text) VALUES (new.rowid, new.title, new.text); END;
CREATE TRIGGER IF NOT EXISTS {t}_removed AFTER DELETE ON {t} BEGIN
  INSERT INTO {t}_words ({t}_words, rowid, title, text) VALUES ('delete', old.rowid, old.title, old.text); END;
"""


class FullTextFile:
    """The open file. Raises `sqlite3.Error`s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The one worker thread that uses the connection is not always the one that opened it.
        self._db = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._tables: set[str] = set()
        self._schema = -1
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._number = path.stat().st_ino
        except (sqlite3.Error, OSError):
            self._db.close()
            raise

    def in_place(self) -> bool:
        """Whether the file is still where it was opened: it may be deleted, or made anew by another process."""
        try:
            return self._path.stat().st_ino == self._number
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._db.close()

    def upsert(self, tenant_id: str, kind: Kind, chunks: Iterable[Chunk]) -> None:
        table = table_name(tenant_id, kind)
        if not self._has(table):
            self._db.executescript(_SCHEMA.format(t=table))
        rows = [(chunk.id, chunk.source, chunk.title, chunk.text) for chunk in chunks]
        # Deleting first, because REPLACE would not fire the trigger that removes the old words.
        self._write(
            (f"DELETE FROM {table} WHERE id = ?", [(row[0],) for row in rows]),  # noqa: S608 - our own table's name
            (f"INSERT OR IGNORE INTO {table} (id, source, title, text) VALUES (?, ?, ?, ?)", rows),  # noqa: S608
        )

    def delete(self, tenant_id: str, kind: Kind, ids: Iterable[str]) -> None:
        table = table_name(tenant_id, kind)
        if self._has(table):
            self._write((f"DELETE FROM {table} WHERE id = ?", [(name,) for name in ids]))  # noqa: S608

    def sources(self, tenant_id: str, kind: Kind) -> Mapping[str, frozenset[str]]:
        table = table_name(tenant_id, kind)
        if not self._has(table):
            return {}
        found: defaultdict[str, set[str]] = defaultdict(set)
        for source, name in self._db.execute(f"SELECT source, id FROM {table}"):  # noqa: S608
            found[source].add(name)
        return {source: frozenset(names) for source, names in found.items()}

    def count(self, tenant_id: str, kind: Kind) -> int:
        table = table_name(tenant_id, kind)
        if not self._has(table):
            return 0
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def search(self, tenant_id: str, kind: Kind, query: str, top_k: int) -> Sequence[Passage]:
        """Ranked by how much of the question's telling words a chunk holds, then by bm25.

        bm25 alone has no scale: in a small store it is near zero even for the right chunk. So the share of the words,
        weighted by their rarity, makes most of the score.
        """
        table, terms = table_name(tenant_id, kind), search_terms(query)
        if not terms or not self._has(table):
            return []
        ranks = self._ranks(table, terms, max(CANDIDATES, top_k * 2))
        if not ranks:
            return []
        covered = self._coverage(table, terms, ranks)
        best = max(-rank for rank in ranks.values()) or 1.0
        scores = {
            row: COVERAGE_SHARE * covered[row] + (1 - COVERAGE_SHARE) * -rank / best
            for row, rank in ranks.items()
        }
        passages = self._passages(table, kind, scores)
        return sorted(passages, key=lambda passage: (-passage.score, passage.chunk.id))[:top_k]

    def _has(self, table: str) -> bool:
        """Whether there is the table; another process may have made it a moment ago."""
        if table not in self._tables:
            (schema,) = self._db.execute("PRAGMA schema_version").fetchone()
            if schema != self._schema:
                rows = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                self._tables, self._schema = {str(name) for (name,) in rows}, schema
        return table in self._tables

    def _ranks(self, table: str, terms: Sequence[str], limit: int) -> dict[int, float]:
        rows = self._db.execute(
            f"SELECT rowid, rank FROM {table}_words WHERE {table}_words MATCH ?"  # noqa: S608
            " AND rank MATCH 'bm25(3.0, 1.0)' ORDER BY rank LIMIT ?",
            (" OR ".join(quoted(term) for term in terms), limit),
        )
        return {int(row): float(rank) for row, rank in rows}

    def _coverage(self, table: str, terms: Sequence[str], rows: Iterable[int]) -> dict[int, float]:
        """The share of the question's words that each row holds, each word weighted by its rarity."""
        held = dict.fromkeys(rows, 0.0)
        total = 0.0
        size = int(self._db.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0)  # noqa: S608
        for term in terms:
            count, matching = self._matching(table, term, held.keys())
            weight = rarity(count, size)
            total += weight
            for row in matching:
                held[row] += weight
        return {row: weight / total for row, weight in held.items()}

    def _matching(self, table: str, term: str, rows: Set[int]) -> tuple[int, Set[int]]:
        """How many rows hold a word, and which of `rows` do."""
        query = f"SELECT rowid FROM {table}_words WHERE {table}_words MATCH ?"  # noqa: S608
        found = {
            row for (row,) in self._db.execute(f"{query} LIMIT ?", (quoted(term), COUNT_LIMIT))
        }
        if len(found) < COUNT_LIMIT:
            return len(found), found & rows
        # A word of very many rows: looking each candidate up is cheaper than listing them all.
        places = ",".join(str(row) for row in rows)
        few = self._db.execute(f"{query} AND rowid IN ({places})", (quoted(term),))
        return COUNT_LIMIT, {row for (row,) in few}

    def _passages(self, table: str, kind: Kind, scores: Mapping[int, float]) -> list[Passage]:
        places = ",".join(str(row) for row in scores)
        rows = self._db.execute(
            f"SELECT rowid, id, source, title, text FROM {table} WHERE rowid IN ({places})"  # noqa: S608
        )
        return [
            Passage(
                chunk=Chunk(id=name, source=source, title=title, text=text, kind=kind),
                score=min(max(scores[row], 0.0), 1.0),
            )
            for row, name, source, title, text in rows
        ]

    def _write(self, *statements: tuple[str, Sequence[tuple[str, ...]]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in statements:
                self._db.executemany(statement, rows)
        except BaseException:  # boundary: transaction
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def table_name(tenant_id: str, kind: Kind) -> str:
    """The table of a tenant's kind: any tenant id gives a safe name, two never the same."""
    return f"{kind}_{hashlib.sha256(tenant_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def rarity(count: int, size: int) -> float:
    """How telling a word is: the fewer of `size` rows hold it, the more; a word nobody uses says little."""
    if count == 0:
        return UNKNOWN_WEIGHT
    return math.log(1 + (max(size - count, 0) + 0.5) / (count + 0.5))


def quoted(term: str) -> str:
    """A word as an FTS5 string, whatever is in it."""
    return '"' + term.replace('"', '""') + '"'
