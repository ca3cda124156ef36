"""Which values of a configuration are secret, so that logs and printed settings can leave them out. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from pydantic import SecretStr

if TYPE_CHECKING:
    from databot.config.settings import Settings

SECRET_KEY = re.compile(
    r"(^|_)(password|passwd|secret|token|key|keys|credential|credentials|authorization)($|_)"
)
USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://[^/@\s:]*):(?P<password>.+)@", re.IGNORECASE)


def known_secrets(settings: "Settings") -> list[str]:
    """Every secret of a configuration: secret values, values of secret keys, passwords in URLs as written and as meant."""
    found = {secret for secret in secrets_in(settings.model_dump(), "") if secret}
    return sorted(found | {unquote(secret) for secret in found})


def secrets_in(value: object, key: str) -> Iterator[str]:
    """The secrets of a dumped value that stands under `key`."""
    if isinstance(value, Mapping):
        for name, item in cast("Mapping[str, object]", value).items():
            yield from secrets_in(item, name)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from secrets_in(item, key)
    elif isinstance(value, SecretStr) and key != "url":
        yield value.get_secret_value()
    else:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str):
            match = USERINFO.search(text)
            yield from (match["password"],) if match else ()
            yield from (text,) if SECRET_KEY.search(key) else ()
