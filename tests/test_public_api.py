"""The public face: every name is there, is what it says, and costs nothing until it is used."""

import subprocess
import sys

import databot
import databot.testing

HEAVY = (
    "litellm",
    "chromadb",
    "sqlalchemy",
    "aiohttp",
    "pyarrow",
    "onnxruntime",
    "numpy",
    "pydantic",
)


def test_every_public_name_is_there() -> None:
    assert sorted(databot.HOMES) == databot.__all__
    for name in databot.__all__:
        assert getattr(databot, name).__name__ == name


def test_the_test_kit_is_there_by_name() -> None:
    for name in databot.testing.HOMES:
        assert getattr(databot.testing, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(databot, "Nonsense")


def test_importing_databot_imports_nothing_heavy() -> None:
    code = f"import sys, databot; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
