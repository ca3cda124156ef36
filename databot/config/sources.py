"""Where configuration values come from: a YAML file, the environment, and references inside values.

Pure functions over mappings; validation is the settings' work.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from databot.types.errors import ConfigError

if TYPE_CHECKING:
    from yaml import Node

PREFIX = "DATABOT_"
RESERVED = frozenset({"DATABOT_CONFIG", "DATABOT_DEBUG"})
REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
BROKEN = re.compile(r"\$\{[^}]*(?:\}|$)")
Raw = dict[str, Any]


def find_file(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file to read; naming one that does not exist is an error, having none is not."""
    named = path or environ.get("DATABOT_CONFIG")
    if named:
        file = Path(named).expanduser()
        if not file.is_file():
            raise ConfigError(
                f"the configuration file {file} does not exist",
                hint="create one with `databot init`, or name another with --config",
            )
        return file
    for candidate in (Path("config.yaml"), Path("~/.databot/config.yaml").expanduser()):
        if candidate.is_file():
            return candidate
    return None


def read_yaml(file: Path) -> Raw:
    """The file's mapping, unexpanded."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        refuse_doubles(yaml.compose(text, Loader=yaml.SafeLoader), set())
        content: object = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigError(f"{file} is not valid YAML{where}: {problem}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file} must be a mapping of sections, like `llm: {{model: auto}}`")
    return cast("Raw", content)


def refuse_doubles(node: "Node | None", looked_at: set[int]) -> None:
    """Refuse a key that stands twice in one mapping: YAML would silently keep only the last.

    Raises:
        yaml.YAMLError: there is one; its mark says where.
    """
    import yaml

    if id(node) in looked_at:  # an alias
        return
    looked_at.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands here twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
            refuse_doubles(value, looked_at)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            refuse_doubles(item, looked_at)


def environment_overrides(environ: Mapping[str, str], keys: Collection[str]) -> Raw:
    """`DATABOT_LLM__MODEL=x` as `{"llm": {"model": "x"}}`; values are read as YAML, so lists and numbers work.

    `keys` are the top-level keys. A variable without `__` that is none of them is somebody's own, such as a
    `DATABOT_KEY` that a `${DATABOT_KEY}` refers to.

    Raises:
        ConfigError: a single underscore stands where two are meant.
    """
    result: Raw = {}
    for name, text in sorted(environ.items()):  # a section as a whole comes before its keys
        if not name.startswith(PREFIX) or name in RESERVED or name.startswith("DATABOT_TEST_"):
            continue
        key = name.removeprefix(PREFIX).lower()
        if "__" not in key and key not in keys:
            refuse_single_underscore(name, key, keys)
            continue
        *parents, last = key.split("__")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(
                    f"the environment variable {name} contradicts another that sets {parent!r} as a whole",
                    hint="unset one of them",
                )
        place[last] = scalar(text)
    return result


def refuse_single_underscore(name: str, key: str, keys: Collection[str]) -> None:
    section, _, rest = key.partition("_")
    if rest and section in keys:
        meant = f"{PREFIX}{section.upper()}__{rest.upper()}"
        raise ConfigError(
            f"the environment variable {name} sets nothing: two underscores part a section from its key",
            hint=f"did you mean {meant}? or unset it",
        )


def scalar(text: str) -> object:
    """A value of the environment: YAML where it is a list, mapping, number or boolean; else the text itself."""
    import yaml

    if "${" in text:
        return text
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, bool | int | float | list | dict) else text


def merge(base: Raw, over: Mapping[str, Any]) -> Raw:
    """`base` with `over` on top, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merge(cast("Raw", old), cast("Raw", value))
        else:
            result[key] = value
    return result


def expand(raw: Raw, environ: Mapping[str, str]) -> Raw:
    """Every string value with its references replaced: `${VAR}`, `${VAR:-default}`, and `file:/path` as a whole."""
    return {key: expand_value(value, environ, str(key)) for key, value in raw.items()}


def expand_value(value: object, environ: Mapping[str, str], path: str) -> object:
    if isinstance(value, str):
        return expand_text(value, environ, path)
    if isinstance(value, dict):
        items = cast("Mapping[object, object]", value).items()
        return {key: expand_value(item, environ, f"{path}.{key}") for key, item in items}
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [expand_value(item, environ, f"{path}.{n}") for n, item in enumerate(items)]
    return value


def expand_text(text: str, environ: Mapping[str, str], path: str) -> str:
    if text.startswith("file:/") and not text.startswith("file://"):
        return read_secret(Path(text.removeprefix("file:")), path)

    def replace(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = environ.get(name, "")
        if found or default is not None:
            return found or default
        raise ConfigError(
            f"{path}: the environment variable {name} is not set",
            hint=f"export {name}, or write ${{{name}:-default}}",
        )

    expanded = REFERENCE.sub(replace, text)
    if BROKEN.search(REFERENCE.sub("", text)):
        raise ConfigError(
            f"{path}: a ${{…}} reference is broken", hint="write ${NAME} or ${NAME:-default}"
        )
    return expanded


def read_secret(file: Path, path: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: the secret file {file} cannot be read",
            hint="check that it exists and that databot may read it",
        ) from error
