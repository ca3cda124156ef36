"""A connector from its options. Pure: nothing is opened, and entry points are the caller's business."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from databot.connectors.base import BaseConnector, ConnectorConfig
from databot.types.errors import ConfigError, DatabotError, MissingExtra, shorten


def create_connector(
    name: str, options: Mapping[str, Any], kinds: Mapping[str, type[BaseConnector]]
) -> BaseConnector:
    """Build the connector `name` of the kind its `type` names.

    Raises:
        ConfigError: an unknown type, key or value; the message names `connectors.<name>.<key>`, never the value.
        MissingExtra: the kind's client is not installed.
    """
    kind = kind_of(name, options, kinds)
    try:
        config = kind.Config.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError(explain(name, error, kind.Config)) from error
    try:
        return kind(name, config)
    except MissingExtra:
        raise
    except DatabotError as error:
        raise ConfigError(f"connectors.{name}: {error.message}", hint=error.hint) from error


def kind_of(
    name: str, options: Mapping[str, Any], kinds: Mapping[str, type[BaseConnector]]
) -> type[BaseConnector]:
    wanted = options.get("type")
    if isinstance(wanted, str) and wanted in kinds:
        return kinds[wanted]
    known = ", ".join(sorted(kinds)) or "none is installed"
    if wanted is None:
        raise ConfigError(f"connectors.{name}.type is missing", hint=f"the types are: {known}")
    raise ConfigError(
        f"connectors.{name}.type: there is no connector type {shorten(str(wanted))!r}",
        hint=suggestion(str(wanted), list(kinds)) or f"the types are: {known}",
    )


def explain(name: str, error: ValidationError, model: type[ConnectorConfig]) -> str:
    """All problems on one line, each with its path."""
    problems = [
        explain_one(name, [str(part) for part in item["loc"]], item["type"], item["msg"], model)
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return "; ".join(dict.fromkeys(problems))


def explain_one(
    name: str, location: list[str], kind: str, message: str, model: type[ConnectorConfig]
) -> str:
    path = ".".join(["connectors", name, *location])
    if kind != "extra_forbidden":
        return f"{path}: {message[:1].lower()}{message[1:]}"
    known = list(model.model_fields)
    near = suggestion(location[-1], known, f"connectors.{name}.") if len(location) == 1 else ""
    return f"unknown key {path!r}" + (
        f"; {near}" if near else f"; the keys are: {', '.join(known)}"
    )


def suggestion(wrong: str, known: list[str], prefix: str = "") -> str:
    near = get_close_matches(wrong, known, n=1, cutoff=0.5)
    return f"did you mean {prefix + near[0]!r}?" if near else ""
