"""Runs the real command in a fresh process, away from any configuration of the person who tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
WAIT_S = 100


def clean_environment(home: Path) -> dict[str, str]:
    """An environment without databot's variables and without any vendor's key."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DATABOT_") and not name.endswith(("_API_KEY", "_TOKEN"))
    }
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "OLLAMA_HOST": "127.0.0.1:1"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return clean_environment(tmp_path)


@pytest.fixture
def databot(tmp_path: Path, environment: dict[str, str]) -> Run:
    """`databot("config", "check")` in a folder of its own; `module` runs another program the same way."""

    def run(
        *arguments: str, stdin: str = "", module: str = "databot", **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=WAIT_S,
            check=False,
        )

    return run
