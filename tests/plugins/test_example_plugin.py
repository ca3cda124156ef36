"""The example plugin, built and installed as its readers will, is found by a fresh interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "plugin"
LOOK = """
import json, sys
from databot.channels.base import BaseChannel
from databot.connectors.base import BaseConnector
from databot.plugins.loader import load_plugins
from databot.providers.base import LLMProvider
from databot.tools.base import BaseTool

plugins = load_plugins({
    "databot.tools": BaseTool,
    "databot.channels": BaseChannel,
    "databot.providers": LLMProvider,
    "databot.connectors": BaseConnector,
})
print(json.dumps([
    [status.group, status.name, status.state]
    for status in plugins.statuses()
    if status.distribution == "databot-example-plugin"
]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--disable-pip-version-check", "--target", str(target)),
            str(EXAMPLE),
        ],
        check=True,
        timeout=100,
    )
    return target


def test_the_installed_example_is_found_with_all_four_parts(installed: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOOK],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
    )
    assert json.loads(found.stdout) == [
        ["databot.channels", "line", "loaded"],
        ["databot.connectors", "jsonl", "loaded"],
        ["databot.providers", "echo", "loaded"],
        ["databot.tools", "business_days", "loaded"],
    ]


def test_the_examples_own_tests_pass_as_its_readme_says(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}"],
        cwd=EXAMPLE,
        capture_output=True,
        timeout=100,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()


def test_importing_the_loader_imports_no_room_and_no_heavy_library() -> None:
    script = (
        "import sys, databot.plugins.loader as loader\n"
        "loader.load_plugins({}, groups=['databot.tools']).names('databot.tools')\n"
        "heavy = {'pyarrow', 'litellm', 'chromadb', 'sqlalchemy', 'aiohttp', 'pydantic', 'openpyxl', 'vl_convert'}\n"
        "rooms = [name for name in sys.modules if name.startswith('databot.') and 'plugins' not in name]\n"
        "print(sorted(heavy & set(sys.modules)), rooms)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert found.stdout.decode().strip() == "[] []"
