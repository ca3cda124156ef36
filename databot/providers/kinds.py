"""The provider kinds databot brings along: the `databot.providers` entry points.

A kind is called with where the models are, the key and the vendor's name, and gives a provider. What a kind needs is
imported when it is called, so finding the entry points costs nothing.
"""

from typing import Protocol
from urllib.parse import urlsplit

from databot.providers.base import LLMProvider
from databot.providers.select import is_loopback


class ProviderKind(Protocol):
    """What a `databot.providers` entry point is: a class or function with these keywords.

    `api_base` and `api_key` are what the configuration says (empty when it says nothing), `name` the vendor's name.
    """

    def __call__(self, *, api_base: str | None, api_key: str, name: str) -> LLMProvider: ...


def openai(*, api_base: str | None, api_key: str, name: str) -> LLMProvider:
    """Any OpenAI-compatible server, natively; through the proxy of the environment, except to this machine."""
    from databot.providers.openai import OPENAI_BASE, OpenAIProvider

    proxy = proxy_for(api_base or OPENAI_BASE)
    return OpenAIProvider(api_base=api_base, api_key=api_key, name=name, proxy=proxy)


def litellm(*, api_base: str | None, api_key: str, name: str) -> LLMProvider:
    """Every other vendor, through LiteLLM."""
    from databot.providers.litellm import LiteLLMProvider

    return LiteLLMProvider(api_base=api_base, api_key=api_key, name=name)


def offline(*, api_base: str | None, api_key: str, name: str) -> LLMProvider:  # noqa: ARG001
    """The analyst without a model; it needs none of what it is given."""
    from databot.providers.offline.provider import OfflineProvider

    return OfflineProvider()


def proxy_for(url: str) -> str | None:
    """The proxy the environment names for `url` (`HTTPS_PROXY`, `NO_PROXY` …)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


BUILT_IN: dict[str, ProviderKind] = {"openai": openai, "litellm": litellm, "offline": offline}
