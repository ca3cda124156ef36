"""The settings, from their models: keys, types, defaults and descriptions."""

from collections.abc import Iterator, Mapping
from typing import Any

from markdown_text import code, prose, table
from pydantic import BaseModel, SecretStr

from databot.config import sections, shared
from databot.config.settings import Settings
from databot.connectors.sql.config import SqlConfig

TOP = {
    "connectors": "Data systems by a name of your choice; each needs a `type`.",
    "channels": "Places where people talk, by the name of the plugin that adds them.",
    "bots": "Assistants by id; without any there is `default`.",
}
"""The keys whose content belongs to an implementation and which the settings do not describe."""


def config_page() -> Iterator[str]:
    yield (
        "One YAML file: `--config PATH`, else `$DATABOT_CONFIG`, else `./config.yaml`, else `~/.databot/config.yaml`, "
        "else the defaults below. The environment overrides every key: `DATABOT_LLM__MODEL=offline` sets `llm.model`. "
        "`${VAR}` and `${VAR:-default}` are replaced in every value, and `file:/path` by the content of that file. "
        "An unknown key is an error. `Reserved.` marks a key whose feature does not exist yet: only its default is taken."
    )
    yield (
        "Relative paths, those in database URLs too, are relative to the working directory. "
        "[`config.example.yaml`](../../config.example.yaml) has every key on one page."
    )
    schema = Settings.model_json_schema()
    nested = {name: section_of(part) for name, part in schema["properties"].items()}
    top = [
        (
            code(name),
            kind_of(part),
            default_of(Settings, name),
            part.get("description") or TOP[name],
        )
        for name, part in schema["properties"].items()
        if "$ref" not in part
    ]
    yield table(("key", "type", "default", "meaning"), top)
    for name, found in nested.items():
        if found is not None:
            yield from section_pages(f"{name}{found[0]}", found[1], schema)
    yield "## `connectors.NAME` with `type: sql`"
    yield prose(SqlConfig.__doc__)
    yield settings_table(SqlConfig, SqlConfig.model_json_schema(), "connectors.NAME.")
    yield (
        "Connectors, channels and tools of plugins bring their own options: under `connectors.NAME`, `channels.NAME` and "
        "`tools.options.NAME`."
    )


def section_pages(path: str, model: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """A section with its table, then the sections inside it."""
    definition = schema["$defs"][model]
    yield f"## `{path}`"
    yield definition.get("description", "")
    kind = getattr(sections, model, None) or getattr(shared, model)
    yield settings_table(kind, definition, f"{path}.")
    for name, part in definition["properties"].items():
        found = section_of(part)
        if found is not None:
            yield from section_pages(f"{path}.{name}{found[0]}", found[1], schema)


def settings_table(model: type[BaseModel], definition: Mapping[str, Any], prefix: str) -> str:
    rows = [
        (code(prefix + name), kind_of(part), default_of(model, name), part.get("description", ""))
        for name, part in definition["properties"].items()
    ]
    return table(("key", "type", "default", "meaning"), rows)


def section_of(part: Mapping[str, Any]) -> tuple[str, str] | None:
    """The model a key holds and how it is reached: directly, by name (`.NAME`) or as an item of a list (`[]`)."""
    named_parts = part.get("patternProperties", {}).values()
    places = (
        ("", part.get("$ref")),
        (".NAME", next(filter(None, map(refers, named_parts)), None)),
        (".NAME", refers(part.get("additionalProperties"))),
        ("[]", next(filter(None, map(refers, part.get("items", {}).get("anyOf", ()))), None)),
    )
    return next(((suffix, ref.rpartition("/")[2]) for suffix, ref in places if ref), None)


def refers(part: object) -> str | None:
    return part.get("$ref") if isinstance(part, dict) else None


def kind_of(part: Mapping[str, Any]) -> str:
    """The type of a value with its bounds, in words."""
    if "$ref" in part:
        return "section"
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(map(kind_of, part["anyOf"])))
    if "enum" in part or "const" in part:
        values = part.get("enum", [part.get("const")])
        return " or ".join(code(written(value)) for value in values)
    if part.get("type") == "array":
        return f"list of {kind_of(part.get('items', {}))}"
    if part.get("type") == "object":
        return "sections by name" if section_of(part) else "options by name"
    return word_for(part) + bounds_of(part)


def word_for(part: Mapping[str, Any]) -> str:
    if part.get("format") in {"password", "path"}:
        return {"password": "secret", "path": "path"}[part["format"]]
    words = {"string": "text", "integer": "whole number", "boolean": "yes or no", "null": "empty"}
    kind = str(part.get("type", "value"))
    return words.get(kind, kind)


def bounds_of(part: Mapping[str, Any]) -> str:
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
    found = [f"{sign} {written(part[name])}" for name, sign in signs if name in part]
    if "minLength" in part:
        found.append(f"at least {part['minLength']} characters")
    return f", {', '.join(found)}" if found else ""


def default_of(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in {None, ""} if isinstance(value, str | None) else False:
        return "empty"
    if isinstance(value, BaseModel) or name == "bots":
        return "see below"
    return code(written(value))


def written(value: object) -> str:
    """A value as YAML would have it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
