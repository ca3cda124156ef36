"""The configuration in effect, fit to be shown: no secret, and no reference expanded. Pure, but for reading the file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from databot.app.secrets import SECRET_KEY, USERINFO
from databot.config.settings import Settings
from databot.config.sources import environment_overrides, find_file, merge, read_yaml

MASK = "********"
SECRET_PARAMETER = re.compile(r"(?P<name>(?:password|token|key|secret)=)[^&\s]+", re.IGNORECASE)
REFERENCE = re.compile(r"^\$\{[^}]*\}$|^file:/")


def effective(config: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Defaults, the file and the environment, merged as `Settings.load` merges them, then masked."""
    Settings.load(config, environ)
    built_in = Settings()
    defaults = built_in.model_dump(mode="json")
    defaults["storage"]["url"] = built_in.storage.url.get_secret_value()  # without a password
    file = find_file(config, environ)
    merged = merge(defaults, read_yaml(file) if file else {})
    return cast(
        "dict[str, Any]", mask(merge(merged, environment_overrides(environ, Settings.model_fields)))
    )


def mask(value: object, key: str = "") -> object:
    """`value` without its secrets; `${VAR}` and `file:` references are not secrets."""
    if isinstance(value, dict):
        items = cast("Mapping[str, object]", value).items()
        return {name: mask(item, f"{name}") for name, item in items}
    if isinstance(value, list):
        return [mask(item, key) for item in cast("list[object]", value)]
    return mask_text(value, key) if isinstance(value, str) else value


def mask_text(text: str, key: str) -> str:
    if not text or REFERENCE.match(text):
        return text
    if SECRET_KEY.search(key):
        return MASK
    return SECRET_PARAMETER.sub(rf"\g<name>{MASK}", USERINFO.sub(mask_userinfo, text))


def mask_userinfo(match: re.Match[str]) -> str:
    password = match["password"]
    shown = password if REFERENCE.match(password) else MASK
    return f"{match['scheme']}:{shown}@"


def to_yaml(values: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=100)
