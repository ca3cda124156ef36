"""The example configuration is valid, complete, and says the defaults."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard, cast, get_args

import pytest
import yaml
from pydantic import BaseModel

from databot.config.settings import Settings
from databot.types.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a section, as a dotted path; sections by name are left to their owners."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = [t for t in (field.annotation, *get_args(field.annotation)) if is_model(t)]
        if inner and not str(field.annotation).startswith(("dict", "list")):
            yield from keys(inner[0], f"{path}.")
        else:
            yield path


def is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def lookup(content: Mapping[str, Any], path: str) -> bool:
    place: Any = content
    for part in path.split("."):
        if not isinstance(place, dict) or part not in place:
            return False
        place = cast("dict[str, Any]", place)[part]
    return True


def test_the_example_holds_every_key_and_only_defaults() -> None:
    content = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert [path for path in keys(Settings) if not lookup(content, path)] == []
    assert Settings.load(EXAMPLE, {}).model_dump() == Settings.parse({}).model_dump()


@pytest.mark.parametrize(
    "raw",
    [
        {"tools": {"shell": {"enabled": True}}},
        {"tools": {"shell": {"allow": ["ls"]}}},
        {"tools": {"files": {"write": True}}},
        {"tools": {"web": {"allow_hosts": ["example.com"]}}},
        {"cache": {"semantic": {"enabled": True}}},
        {"cron": {"jobs": [{"name": "x"}]}},
        {"mcp": {"servers": {"x": {}}}},
        {"bots": {"default": {"knowledge": ["x"]}}},
    ],
)
def test_what_does_nothing_yet_is_refused_instead_of_ignored(raw: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Settings.parse(raw)
