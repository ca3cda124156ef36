"""The law of the house, read from the source: who may import whom, and what may stand where."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "databot"
COMPOSERS = {"app", "cli", "testing", "__main__"}
"""Only these may import a room's insides: they wire rooms together."""
BOUNDARY = "# boundary:"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that is imported, at any depth and under any condition."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if full in SOURCES else node.module


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def databot_edges() -> Iterator[tuple[str, int, str]]:
    for name, tree in TREES.items():
        for line, target in imported_names(tree):
            if target.split(".")[0] == "databot":
                yield name, line, target


def test_types_import_only_the_standard_library() -> None:
    foreign = [
        f"{name}:{line} imports {target}"
        for name, tree in TREES.items()
        if room(name) == "types"
        for line, target in imported_names(tree)
        if not target.startswith("databot.types")
        and target.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_a_contract_imports_only_types_and_other_contracts() -> None:
    wrong = [
        f"{name}:{line} imports {target}"
        for name, line, target in databot_edges()
        if name.endswith(".base") and room(target) != "types" and not target.endswith(".base")
    ]
    assert wrong == []


def test_no_room_imports_another_rooms_insides_or_the_configuration() -> None:
    wrong = [
        f"{name}:{line} imports {target}"
        for name, line, target in databot_edges()
        if room(name) not in COMPOSERS | {""}
        and room(target) not in {room(name), "types"}
        and not target.endswith(".base")
    ]
    assert wrong == []


def test_there_are_no_import_circles() -> None:
    graph = {name: set[str]() for name in SOURCES}
    for name, _, target in databot_edges():
        if target in graph and target != name:
            graph[name].add(target)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_an_init_file_only_reexports() -> None:
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign, ast.If)
    lazy = "__getattr__"  # a re-export on first use
    wrong = [
        f"{name}:{node.lineno}"
        for name, path in SOURCES.items()
        if path.name == "__init__.py"
        for node in TREES[name].body
        if not isinstance(node, allowed) and getattr(node, "name", "") != lazy
    ]
    assert wrong == []


def test_a_broad_except_names_its_boundary() -> None:
    wrong: list[str] = []
    for name, path in SOURCES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(TREES[name]):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = node.type.id if isinstance(node.type, ast.Name) else None
            if (node.type is None or caught in {"Exception", "BaseException"}) and (
                BOUNDARY not in lines[node.lineno - 1]
            ):
                wrong.append(f"{name}:{node.lineno}")
    assert wrong == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def is_abstract(node: ast.ClassDef) -> bool:
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    return bool(bases & {"Protocol", "ABC"})


def test_a_contract_has_at_most_seven_methods() -> None:
    wrong: list[str] = []
    for name, tree in TREES.items():
        if not name.endswith(".base"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and is_abstract(node):
                methods = [
                    item.name
                    for item in node.body
                    if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not item.name.startswith("__")
                ]
                if len(methods) > 7:
                    wrong.append(f"{name}.{node.name} has {len(methods)}")
    assert wrong == []


def test_files_and_functions_stay_small() -> None:
    wrong: list[str] = []
    for name, path in SOURCES.items():
        length = len(path.read_text(encoding="utf-8").splitlines())
        doc = ast.get_docstring(TREES[name]) or ""
        if length > 300 and "Long because" not in doc:
            wrong.append(f"{name} has {length} lines and its docstring does not say why")
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > 60:
                    wrong.append(f"{name}.{node.name} has {size} lines")
    assert wrong == []


@pytest.mark.parametrize("banned", ["asyncio.create_task", "datetime.utcnow", "time.time("])
def test_banned_calls_stand_only_where_they_are_owned(banned: str) -> None:
    owners = {
        "asyncio.create_task": {"databot.core.supervisor"},
        "time.time(": {"databot.types.clock"},
    }
    wrong = [
        name
        for name, path in SOURCES.items()
        if banned in path.read_text(encoding="utf-8") and name not in owners.get(banned, set())
    ]
    assert wrong == []


def test_only_the_supervisor_may_start_unowned_tasks() -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if name != "databot.core.supervisor"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ensure_future")
    ]
    assert wrong == []
