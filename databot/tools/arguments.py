"""What a tool takes: its schema as the model is shown it, and the model's raw JSON checked against it.

Checking never repairs by guessing. What is wrong is said so that the model can put it right: which key, what was
expected, which keys there are. Never more than a few hundred characters of what was sent are said back.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from databot.types.errors import InvalidToolArguments, shorten

MAX_ARGUMENTS = 200_000
MAX_PROBLEMS = 5
PROBLEM_CHARS = 300
Model = TypeVar("Model", bound=BaseModel)


def parameters_of(arguments: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON Schema of a tool's arguments, without what only pydantic needs."""
    return _cleaned(arguments.model_json_schema())


def _cleaned(schema: Any) -> Any:  # noqa: ANN401 - a JSON Schema or a part of one
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: _cleaned_value(key, value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value is None)
    }
    return _without_null(kept)


def _cleaned_value(key: str, value: Any) -> Any:  # noqa: ANN401 - a JSON Schema or a part of one
    if key in {"properties", "$defs"} and isinstance(value, dict):
        return {name: _cleaned(part) for name, part in value.items()}
    return value if key in {"enum", "const", "default", "examples"} else _cleaned(value)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """An optional key is simply left out; `T or null` only confuses models and vendors."""
    options = schema.get("anyOf")
    if not isinstance(options, list):
        return schema
    real = [option for option in options if option != {"type": "null"}]
    if len(real) == len(options) or len(real) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **real[0]}


def parse_arguments(model: type[Model], raw: str) -> Model:
    """The raw JSON as an instance of the model; raises `InvalidToolArguments`. Nothing at all means `{}`."""
    if len(raw) > MAX_ARGUMENTS:
        raise InvalidToolArguments(
            f"the arguments are {len(raw):,} characters long; the limit is {MAX_ARGUMENTS:,}"
        )
    value = _read(raw, model)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [_problem(item, model) for item in error.errors(include_url=False)]
        shown = "; ".join(problems[:MAX_PROBLEMS])
        raise InvalidToolArguments(f"{shown}. {_keys(model)}") from error


def _read(raw: str, model: type[BaseModel]) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        value: Any = json.loads(raw)
        if isinstance(value, str):  # some models write the object as a string of JSON
            value = json.loads(value)
        json.dumps(
            value, ensure_ascii=False
        ).encode()  # half a character has no place in any data system
    except (ValueError, RecursionError) as error:
        raise InvalidToolArguments(
            f"the arguments are not valid JSON{_where(error)}. Send one JSON object. {_keys(model)}"
        ) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidToolArguments(
            f"the arguments must be one JSON object, not {type(value).__name__}. {_keys(model)}"
        )
    return value


def _where(error: Exception) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return ""
    near = error.doc[max(0, error.pos - 20) : error.pos + 20]
    return f": {error.msg} at character {error.pos}, near {near!r}"


def _problem(item: ErrorDetails, model: type[BaseModel]) -> str:
    place = ".".join(map(str, item["loc"])) or "arguments"
    if item["type"] == "extra_forbidden":
        close = difflib.get_close_matches(place, model.model_fields, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"{shorten(place)!r} is not a key of this tool{hint}"
    if item["type"] == "missing":
        return f"{shorten(place)!r} is required"
    got = "" if item["input"] is None else f", got {shorten(repr(item['input'])[:200], 60)}"
    return shorten(f"{shorten(place)!r}: {item['msg']}{got}", PROBLEM_CHARS)


def _keys(model: type[BaseModel]) -> str:
    """The keys a call may have, on one line."""
    schema = parameters_of(model)
    required = set(schema.get("required", ()))
    keys = [
        f"{name} ({_kind(part)}, {'required' if name in required else 'optional'})"
        for name, part in schema.get("properties", {}).items()
    ]
    return shorten(f"The keys are: {', '.join(keys)}" if keys else "This tool takes no keys", 1000)


def _kind(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return " | ".join(map(str, part["enum"]))
    return str(part.get("type", "any"))
