"""The error tree, from its classes: types, statuses and when each is raised."""

import ast
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Any

from markdown_text import code, prose, table

from databot.gateway.errors import HTTP_TYPES, INTERRUPTED
from databot.types.errors import DatabotError

ROOT = Path(__file__).parents[2]


def errors_page() -> Iterator[str]:
    yield (
        "Everything databot raises on purpose is a `DatabotError`. Its `type` is what HTTP bodies "
        "(`{error: {type, message, detail?, request_id}}`) and `turn_failed` events carry, its `status` the HTTP status."
    )
    yield "```text\n" + tree_of(import_module("databot.types.errors")) + "\n```"
    rows = [
        (
            code(kind.__name__),
            code(str(kind.type)),
            code(str(kind.status)),
            first_line(kind.__doc__),
        )
        for kind in error_classes()
    ]
    yield table(("class", "type", "status", "when"), rows)
    yield "Types that have no class of their own:"
    known = {str(kind.type) for kind in error_classes()}
    extra = [
        (code(kind), code(str(number)), text)
        for number, (kind, text) in HTTP_TYPES.items()
        if kind not in known
    ]
    extra.append(
        (code(INTERRUPTED), code("503"), "the daemon stopped; the turn goes on after its restart")
    )
    yield table(("type", "status", "when"), extra)
    yield (
        "A turn that failed is a `TurnNotAnswered` in Python; its `type` is that of what failed. A `ConnectorError` also "
        "has a `kind`; its docstring lists them."
    )


def tree_of(module: Any) -> str:  # noqa: ANN401 - a module
    doc = cleandoc(module.__doc__ or "")
    lines = [line for line in doc.splitlines() if line.startswith("    ")]
    return cleandoc("\n" + "\n".join(lines))


def first_line(doc: str | None) -> str:
    return prose(doc).partition("\n\n")[0]


def error_classes() -> list[type[DatabotError]]:
    """Every error class of the package, parents before children; only the modules that define one are imported."""
    found: dict[str, type[DatabotError]] = {"DatabotError": DatabotError}
    defined = [
        (node.name, [ast.unparse(base) for base in node.bases], module)
        for module, tree in sorted(sources().items())
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    grown = True
    while grown:
        fresh = {
            name: getattr(import_module(module), name)
            for name, bases, module in defined
            if name not in found and any(base in found for base in bases)
        }
        found |= fresh
        grown = bool(fresh)
    return list(found.values())


def sources() -> dict[str, ast.Module]:
    package = ROOT / "databot"
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(package.rglob("*.py"))
        if "migrations" not in path.parts
    }
