"""The documents say what the code does: nothing undocumented, nothing stale, every sample and command tried."""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from databot.app.build import Overrides
from databot.cli.chat.slash import COMMANDS as SLASH_COMMANDS
from databot.cli.commands import app
from databot.config.settings import Settings
from databot.config.sources import expand
from databot.connectors.sql.config import SqlConfig
from databot.plugins.base import PLUGIN_GROUPS
from databot.providers.vendors import VENDORS
from databot.testing.running import running_databot
from databot.types.events import StreamEvent

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
REFERENCE = ROOT / "docs" / "reference"
SAMPLES = ROOT / "docs" / "samples"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
BY_NAME = dict(zip(NAMES, PAGES, strict=True))


def text_of(name: str) -> str:
    return BY_NAME[name].read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> Iterator[str]:
    return (body for language, body in FENCE.findall(text_of(name)) if language in languages)


def prose_of(name: str) -> str:
    return FENCE.sub("", text_of(name))


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


# The reference


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci" / "reference"), "--check"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def setting_paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key below `model`; a section by name is reached through NAME, an item of a list through []."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = next(models_in(field.annotation), None)
        if inner is None:
            yield path
            continue
        suffix = {"dict": ".NAME", "list": "[]"}.get(str(field.annotation).partition("[")[0], "")
        yield from setting_paths(inner, f"{path}{suffix}.")


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def test_every_setting_is_documented() -> None:
    paths = [*setting_paths(Settings, ""), *setting_paths(SqlConfig, "connectors.NAME.")]
    assert len(paths) > 80
    page = reference("config")
    assert [path for path in paths if f"| `{path}` |" not in page] == []


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's own classes
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_and_option_is_documented() -> None:
    sections = dict(re.findall(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", reference("cli"), re.M | re.S))
    for path, command in commands(typer.main.get_command(app), "databot"):
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[0] in sections[path], f"{path} {parameter.opts[0]}"


def test_every_slash_command_is_documented() -> None:
    page = reference("cli")
    assert [item.usage for item in SLASH_COMMANDS.values() if f"`{item.usage}`" not in page] == []


async def routes() -> set[tuple[str, str]]:
    """Method and path of everything a gateway serves."""
    from databot.gateway.app import make_gateway, make_routes
    from databot.gateway.options import GatewayOptions
    from databot.types.clock import RandomIds, SystemClock

    async with running_databot() as bot:
        gateway = make_gateway(bot.services, GatewayOptions(), SystemClock(), RandomIds())
        return {(route.method, route.path) for route in make_routes(gateway)}


async def test_every_route_is_documented_and_no_other_is_named() -> None:
    served = await routes()
    page = reference("http")
    assert [route for route in served if f"## `{' '.join(route)}`" not in page] == []
    known = re.compile(
        "|".join(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for _, path in served)
    )
    named = [
        (name, path)
        for name in NAMES
        for path in re.findall(
            r"(?:GET|POST|DELETE|127\.0\.0\.1:18790) ?(/[\w/{}.-]*)", text_of(name)
        )
    ]
    assert [(name, path) for name, path in named if not known.fullmatch(path)] == []


def test_every_event_is_documented_with_its_keys() -> None:
    page = reference("events")
    assert [kind for kind in get_args(StreamEvent) if f"## `{kind.name}`" not in page] == []


def test_every_error_type_is_documented() -> None:
    page = reference("errors")
    written = {
        str(node.value.value)
        for path in (ROOT / "databot").rglob("*.py")
        for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(outer, ast.ClassDef) and is_error(outer)
        for node in outer.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "type"
        if isinstance(node.value, ast.Constant)
    }
    assert len(written) > 25
    assert [kind for kind in sorted(written) if f"| `{kind}` |" not in page] == []


def is_error(node: ast.ClassDef) -> bool:
    """Whether a class has both an error's type and, itself or by its base's name, an error's place."""
    bases = " ".join(ast.unparse(base) for base in node.bases)
    return node.name == "DatabotError" or bool(
        re.search(r"Error\b|Busy|Unavailable|ProviderBadResponse", bases)
    )


def test_every_entry_point_group_is_documented() -> None:
    page = text_of("docs/howto/plugin.md")
    assert [group for group in PLUGIN_GROUPS if f"| `{group}` |" not in page] == []


def test_every_room_is_in_the_architecture() -> None:
    page = text_of("docs/architecture.md")
    rooms = [path.parent.name for path in (ROOT / "databot").glob("*/__init__.py")]
    assert len(rooms) > 15
    assert [room for room in rooms if f"`{room}/`" not in page] == []


def test_every_vendor_auto_may_choose_is_documented_by_its_key() -> None:
    page = text_of("docs/howto/model.md")
    assert [v.prefix for v in VENDORS if v.model and f"`{v.key[0]}`" not in page] == []


def test_every_part_a_program_may_bring_along_is_documented() -> None:
    page = text_of("docs/howto/python.md")
    assert [name for name in Overrides.__annotations__ if f"{name}=" not in page] == []


def source_text() -> str:
    """The package's source with strings that stand beside each other joined, as a reader of its messages sees them."""
    files = (ROOT / "databot").rglob("*.py")
    whole = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r"\"\s*\n?\s*f?\"", "", whole)


def test_every_message_of_the_troubleshooting_page_is_one_the_code_says() -> None:
    source, types = source_text(), reference("errors")
    rows = re.findall(
        r"^\| (`.+?) \| [^|]+ \|$", text_of("docs/howto/troubleshoot.md"), re.MULTILINE
    )
    spans = [span for row in rows for span in re.findall(r"`([^`]+)`", row) if len(span) > 1]
    assert len(spans) > 25
    for span in spans:
        if re.fullmatch(r"[a-z_]+", span):
            assert f"| `{span}` |" in types, span
            continue
        fixed = re.split(r"'[^']*'|…|\b\d+\b|\b[A-Z_]{3,}\b|[()]|: ", span)
        for piece in (part.strip(" ;:/,.") for part in fixed):
            assert len(piece) < 6 or piece in source, f"{span}: {piece}"


# Links, samples, commands


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    for target in LINK.findall(prose_of(name)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        page = (BY_NAME[name].parent / path).resolve() if path else BY_NAME[name]
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = LINK.findall(page.read_text(encoding="utf-8"))
        found = [(page.parent / target.partition("#")[0]).resolve() for target in targets]
        waiting += [path for path in found if path.is_file()]
    assert [name for name in NAMES if BY_NAME[name] not in seen] == []


def test_a_sample_stands_in_a_page_as_it_is_in_its_file() -> None:
    shown: set[str] = set()
    for name in NAMES:
        for file, body in re.findall(
            r"^<!-- (docs/samples/[\w.]+) -->\n```\w+\n(.*?)^```$", text_of(name), re.M | re.S
        ):
            assert body == (ROOT / file).read_text(encoding="utf-8"), f"{name}: {file}"
            shown.add(file)
    assert shown == {f"docs/samples/{path.name}" for path in SAMPLES.glob("*.py")}


def test_every_python_block_compiles() -> None:
    for name in NAMES:
        for body in blocks(name, "python"):
            compile(body, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_sample_tests_pass() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", str(SAMPLES)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sample_program_asks_and_goes_on(tmp_path: Path) -> None:
    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "DATABOT_LLM__MODEL": "offline", "DATABOT_RAG__ENABLED": "false"},
        )

    run("-m", "databot", "demo", ".", "-m", "how many customers are there?")
    said = run(str(SAMPLES / "ask.py"), "config.yaml", "How many orders are there?").stdout
    assert '-- SELECT COUNT(*) AS "orders" FROM "orders"' in said
    assert "| country | orders |" in said


def databot_lines() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        for body in blocks(name, "sh", "console", "bash"):
            for line in body.replace("\\\n", " ").splitlines():
                if line.strip().startswith("databot "):
                    yield name, line.strip()


def test_every_databot_command_line_is_one_the_program_takes() -> None:
    lines = list(databot_lines())
    assert len(lines) > 20
    for name, line in lines:
        parse(shlex.split(line, comments=True)[1:], f"{name}: {line}")


def parse(arguments: list[str], where: str) -> None:
    """Follow the groups to the command and let it read its options; nothing is run."""
    command: Any = typer.main.get_command(app)
    path = "databot"
    while hasattr(command, "commands"):
        assert arguments, where
        name, *arguments = arguments
        assert name in command.commands, where
        command, path = command.commands[name], f"{path} {name}"
    try:
        command.make_context(path, list(arguments)).close()
    except typer.TyperException as error:
        pytest.fail(f"{where}: {error.format_message()}")


class AnyVariable(Mapping[str, str]):
    """An environment in which every variable is set."""

    def __getitem__(self, key: str) -> str:
        return f"a-value-of-{key.lower()}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_in_a_page_can_be_used(name: str) -> None:
    for body in blocks(name, "yaml"):
        settings = Settings.parse(expand(yaml.safe_load(body), AnyVariable()), origin=body)
        for options in settings.connectors.values():
            if options["type"] == "sql":
                SqlConfig.model_validate(options)


# What must not be there


@pytest.mark.parametrize(("page", "least"), [("docs/promises.md", 40), ("docs/faults.md", 30)])
def test_every_promise_and_every_fault_names_a_test_that_exists(page: str, least: int) -> None:
    promised = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of(page))
    rows = re.findall(r"^\| [A-Z`0-9].*\|$", text_of(page), re.MULTILINE)
    assert len(promised) == len(rows) > least
    for file, test in promised:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert test in defined, f"{file}::{test}"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_names_no_machine_no_index_and_no_foreign_distribution(name: str) -> None:
    text = text_of(name)
    assert not re.search(r"(?<![\w.])/(?:work|root|home)/", text)
    assert not re.search(r"--(?:extra-)?index-url|pypi\.\w+|pythonhosted", text, re.IGNORECASE)
    assert not re.search(
        r"pip install [^\n`]*\bdatabot(?:-ai)?(?:\[|\s|'|\"|$)", text, re.MULTILINE
    )
