"""Where a request comes from: its address behind proxies, the host it was sent to, the page that sent it.

Everything is parsed and compared exactly, never by prefix: `http://localhost:1@evil.example` and `127.0.0.1.evil.example`
are what they are.
"""

import functools
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from databot.gateway.options import is_loopback
from databot.types.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def normal_origin(text: str) -> str | None:
    """`scheme://host[:port]` in lower case without a default port; `None` for anything that is not an origin."""
    try:
        parts = urlsplit(text.strip().rstrip("/"))
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")


@functools.lru_cache(maxsize=256)
def host_name(host: str) -> str | None:
    """The name in a `Host` header, without port and brackets; `None` when it is malformed."""
    origin = normal_origin(f"http://{host}")
    return urlsplit(origin).hostname if origin else None


class Origins:
    """Which pages may call, and which names this service answers to. Raises `ConfigError` for what is not an origin."""

    def __init__(self, cors_origins: Iterable[str], public_url: str | None) -> None:
        self._allowed = frozenset(
            _configured(each, "gateway.cors_origins") for each in cors_origins
        )
        parts = urlsplit(public_url) if public_url else None
        root = f"{parts.scheme}://{parts.netloc}" if parts else ""
        self._public = _configured(root, "gateway.public_url") if parts else None
        self._public_host = parts.hostname if parts else None

    def cors(self, origin: str) -> bool:
        """Whether pages of this origin may read our answers."""
        return normal_origin(origin) in self._allowed if self._allowed else False

    def same(self, origin: str, scheme: str, host: str) -> bool:
        """Whether a request's `Origin` is this service itself, or an origin that may call it."""
        normal = normal_origin(origin)
        if normal is None:
            return False
        own = {normal_origin(f"{scheme}://{host}"), self._public}
        return normal in own or normal in self._allowed

    def local_host(self, host: str) -> bool:
        """Whether a `Host` header names this machine or the public name: what DNS rebinding cannot forge."""
        name = host_name(host)
        return name is not None and (is_loopback(name) or name == self._public_host)


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed. Raises `ConfigError` for a bad network."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(_network(each) for each in networks)

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """The address that made the request: the right-most hop that is not one of our proxies."""
        if not self._networks or not self._trusted(peer):
            return peer
        hops = [hop.strip() for line in forwarded for hop in line.split(",")]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return peer
            peer = address
            if not self._trusted(address):
                break
        return peer

    def _trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(
            f"gateway.trusted_proxies: {text!r} is not a network", hint="write it as 10.0.0.0/8"
        ) from error


def _address(hop: str) -> str | None:
    """The address in one hop, which may carry a port or brackets."""
    candidate = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if candidate.count(":") == 1:
        candidate = candidate.partition(":")[0]
    try:
        return str(ipaddress.ip_address(candidate))
    except ValueError:
        return None


def _configured(text: str, where: str) -> str:
    origin = normal_origin(text)
    if origin is None:
        raise ConfigError(
            f"{where}: {text!r} is not an origin", hint="write it as https://app.example.com"
        )
    return origin
