"""What an operator decides about the gateway, as plain values, and the one rule about where it may listen."""

import ipaddress
from dataclasses import dataclass, field

from databot.types.errors import ConfigError
from databot.types.messages import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyOptions:
    """A key that may call the API, and for whom it speaks."""

    name: str
    secret: str = field(repr=False)
    tenant_id: str = DEFAULT_TENANT
    roles: frozenset[str] = frozenset({"api"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitOptions:
    """At most `requests` in `per_s` seconds, for each key and for each address without one."""

    requests: int = 120
    per_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """The gateway's own settings.

    `public_url` is how the outside reaches this service; `trusted_proxies` are networks (CIDR) whose `X-Forwarded-For` is
    believed. `ping_s` is the silence after which a stream says it is alive; `body_timeout_s` the longest wait for a
    request body; `auth_timeout_s` the longest wait for a WebSocket's first frame. Of more than `max_followed_turns` turns
    at once on one WebSocket the next message is refused, not queued.
    """

    host: str = "127.0.0.1"
    port: int = 18790
    public_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    api_keys: tuple[ApiKeyOptions, ...] = ()
    rate_limit: RateLimitOptions = field(default_factory=RateLimitOptions)
    metrics: bool = True
    version: str = "0"
    max_body_bytes: int = 20_000_000
    max_message_chars: int = 200_000
    max_frame_bytes: int = 1_000_000
    max_followed_turns: int = 16
    ping_s: float = 15.0
    body_timeout_s: float = 30.0
    auth_timeout_s: float = 10.0


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without port and brackets, can only mean this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_binding(host: str, api_keys: tuple[ApiKeyOptions, ...]) -> None:
    """Refuse to be reachable by others without authentication. Raises `ConfigError`."""
    if not api_keys and not is_loopback(host):
        raise ConfigError(
            f"gateway.host is {host!r}, which others can reach, and no auth.api_keys are configured",
            hint="add a key under auth.api_keys, or listen on 127.0.0.1",
        )
