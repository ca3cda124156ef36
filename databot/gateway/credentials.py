"""Who is calling: API keys, held only as keyed hashes.

A presented key is hashed once with a pepper made for this process and looked up by the hash; every lookup costs the same
one HMAC, known or not, and ends in a constant-time comparison. The secrets themselves are not kept.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from multidict import CIMultiDictProxy

from databot.gateway.options import ApiKeyOptions
from databot.types.errors import ConfigError
from databot.types.messages import Principal

MAX_KEY_CHARS = 512
BEARER_PROTOCOL = "databot.bearer."
"""A browser cannot send headers with a WebSocket: the key may come as a sub-protocol of this form."""


class Credentials:
    """The keys this gateway accepts.

    Raises `ConfigError` when two of them share a secret, or a name in one tenant: their callers would be one, with one
    rate limit and one another's idempotency keys.
    """

    def __init__(self, keys: Iterable[ApiKeyOptions]) -> None:
        self._keyed = hmac.new(secrets.token_bytes(32), digestmod=hashlib.sha256)
        self._known: dict[bytes, tuple[bytes, Principal]] = {}
        names: set[tuple[str, str]] = set()
        for key in keys:
            if (key.tenant_id, key.name) in names:
                raise ConfigError(
                    f"auth.api_keys: two keys of the tenant {key.tenant_id!r} have the name {key.name!r}",
                    hint="give each its own `name`",
                )
            names.add((key.tenant_id, key.name))
            digest = self._digest(key.secret)
            if digest in self._known:
                raise ConfigError(f"auth.api_keys: {key.name!r} has the same secret as another key")
            self._known[digest] = (digest, _principal(key))
        self._nobody = secrets.token_bytes(32)

    def __bool__(self) -> bool:
        """Whether any key exists, so that callers must present one."""
        return bool(self._known)

    def principal(self, secret: str | None) -> Principal | None:
        """The holder of the key, or `None`."""
        if not secret or len(secret) > MAX_KEY_CHARS:
            return None
        presented = self._digest(secret)
        digest, principal = self._known.get(presented, (self._nobody, None))
        return principal if hmac.compare_digest(presented, digest) else None

    def _digest(self, secret: str) -> bytes:
        keyed = self._keyed.copy()  # cheaper than setting the key up for every request
        keyed.update(secret.encode("utf-8", "surrogateescape"))
        return keyed.digest()


def presented_key(headers: CIMultiDictProxy[str]) -> str | None:
    """The key in `Authorization: Bearer` or `X-API-Key`."""
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, value = authorization.partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None
    return headers.get("X-API-Key")


def protocol_key(offered: Iterable[str]) -> str | None:
    """The key in an offered WebSocket sub-protocol."""
    for protocol in offered:
        if protocol.startswith(BEARER_PROTOCOL):
            return protocol.removeprefix(BEARER_PROTOCOL)
    return None


def _principal(key: ApiKeyOptions) -> Principal:
    return Principal(id=key.name, tenant_id=key.tenant_id, roles=key.roles, display_name=key.name)
