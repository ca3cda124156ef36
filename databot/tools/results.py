"""What becomes of a query's result: the model reads a preview, the artifact holds the whole, the evidence is built here.

Code decides what is said about a result (how many rows, cut or not, where the rest is); the model only reads it.
Knows no connector and no SQL.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from databot.connectors.base import QueryResult, SqlSource
from databot.storage.base import ArtifactStore
from databot.tools.base import ToolContext, ToolResult
from databot.tools.cells import cell, one_line_json, plain, rows_of
from databot.tools.figures import figures_of
from databot.tools.files import MEDIA_TYPES, to_csv
from databot.types.clock import Clock
from databot.types.evidence import ArtifactRef, Evidence, Purpose

if TYPE_CHECKING:
    import pyarrow as pa

PREVIEW_ROWS = 50
PREVIEW_CHARS = 8_000
SAMPLE_ROWS = 5
SAMPLE_CELL = 200
CELL_LIMITS = (2_000, 500, 200)
"""Longest cells first: the preview takes the first limit under which every row fits."""
NARROW_CELL = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The part of a result a model is shown; `complete` when nothing of it was left out or shortened."""

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    complete: bool


def preview_of(table: "pa.Table", budget: int = PREVIEW_CHARS) -> Preview:
    """The first rows that fit the budget, each as a line of JSON; at least one row, if need be with fewer columns."""
    names = tuple(table.column_names)
    raw = rows_of(table, lambda value: value, count=PREVIEW_ROWS)
    room = budget - len(one_line_json(list(names)))
    for limit in CELL_LIMITS:
        rows, shortened = _json_rows(raw, limit)
        if sum(map(len, rows)) + len(rows) <= room:
            return Preview(
                columns=names, rows=rows, complete=not shortened and table.num_rows <= len(rows)
            )
    for limit in (CELL_LIMITS[-1], NARROW_CELL):
        rows = _fitting(_json_rows(raw, limit)[0], room)
        if rows:
            return Preview(columns=names, rows=rows, complete=False)
    return _narrower(table, budget)


def _narrower(table: "pa.Table", budget: int) -> Preview:
    if table.num_columns <= 1:
        return Preview(
            columns=tuple(name[:200] for name in table.column_names), rows=(), complete=False
        )
    left = table.select(list(range(table.num_columns // 2)))
    return replace(preview_of(left, budget), complete=False)


def _json_rows(raw: list[list[Any]], limit: int) -> tuple[tuple[str, ...], bool]:
    whole = [[plain(value) for value in row] for row in raw]
    short = [[cell(value, limit) for value in row] for row in raw]
    return tuple(one_line_json(row) for row in short), whole != short


def _fitting(rows: tuple[str, ...], room: int) -> tuple[str, ...]:
    used = 0
    for position, row in enumerate(rows):
        used += len(row) + 1
        if used > room:
            return rows[:position]
    return rows


def document(
    preview: Preview, source: SqlSource, result: QueryResult, artifact: ArtifactRef | None
) -> str:
    """The first line of a tool's answer: one JSON document."""
    facts = {
        "row_count": result.table.num_rows,
        "truncated": result.truncated,
        "artifact_id": artifact.id if artifact else None,
        "connector": source.name,
        "dialect": source.dialect,
    }
    columns = one_line_json(list(preview.columns))
    rows = ",".join(preview.rows)
    return f'{{"columns":{columns},"rows":[{rows}],{one_line_json(facts)[1:]}'


def notices(preview: Preview, result: QueryResult, artifact: ArtifactRef | None) -> list[str]:
    """What must be said about the result, in words: how much there is, what was left out, where the whole is."""
    table = result.table
    said: list[str] = []
    if result.truncated:
        said.append(
            f"The {result.truncated_by or 'row'} limit cut this result after {table.num_rows:,} rows: the database has"
            " more. Counts and totals taken from it would be wrong; aggregate in SQL instead."
        )
    if len(preview.rows) < table.num_rows:
        said.append(
            f"Shown: the first {len(preview.rows):,} of {table.num_rows:,} rows of the result."
        )
    if len(preview.columns) < table.num_columns:
        said.append(f"Shown: the first {len(preview.columns):,} of {table.num_columns:,} columns.")
    if artifact:
        kinds = ", ".join(f"{field.name} {field.type}" for field in table.schema)
        said.append(
            f"The artifact {artifact.id} ({artifact.name}) holds all {table.num_rows:,} rows, uncut."
            f" Column types: {kinds[:1000]}"
        )
    return said


async def build_result(
    result: QueryResult,
    source: SqlSource,
    context: ToolContext,
    *,
    artifacts: ArtifactStore,
    clock: Clock,
    purpose: Purpose = "answer",
) -> ToolResult:
    """The result as the model, the person and the number check need it; a result too large to show is kept whole."""
    preview = await asyncio.to_thread(preview_of, result.table)
    kept: ArtifactRef | None = None
    if not preview.complete:
        data = await asyncio.to_thread(to_csv, result.table)
        kept = await artifacts.save(context.conversation, "result.csv", MEDIA_TYPES["csv"], data)
    lines = [document(preview, source, result, kept), *notices(preview, result, kept)]
    return ToolResult(
        content="\n".join(lines),
        summary=summary_of(result),
        evidence=(evidence_of(result, source, clock, kept, purpose),),
        artifacts=(kept,) if kept else (),
        figures=await asyncio.to_thread(figures_of, result),
    )


def summary_of(result: QueryResult) -> str:
    """One short line for people."""
    count = result.table.num_rows
    cut = f", cut by the {result.truncated_by or 'row'} limit" if result.truncated else ""
    return f"{count:,} row{'' if count == 1 else 's'} in {result.elapsed_ms:,.0f} ms{cut}"


def evidence_of(
    result: QueryResult,
    source: SqlSource,
    clock: Clock,
    artifact: ArtifactRef | None = None,
    purpose: Purpose = "answer",
) -> Evidence:
    """What ran where and what came back, as facts."""
    sample = rows_of(result.table, lambda value: cell(value, SAMPLE_CELL), count=SAMPLE_ROWS)
    return Evidence(
        connector=source.name,
        statement=result.statement,
        rows=result.table.num_rows,
        truncated=result.truncated,
        elapsed_ms=round(result.elapsed_ms, 3),
        as_of=clock.now().isoformat(),
        columns=tuple(result.table.column_names),
        sample=tuple(tuple(row) for row in sample),
        artifact_id=artifact.id if artifact else None,
        purpose=purpose,
    )
