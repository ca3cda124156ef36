"""Which provider serves a model, and which model serves when none was named.

Pure decisions over plain values: nothing is imported, opened or asked here. `make` builds what is chosen.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from databot.providers.address import parsed_base
from databot.providers.vendors import (
    Vendor,
    in_auto_order,
    key_in,
    vendor_of,
    vendor_of_key,
)

HOW = "set llm.model in config.yaml, or DATABOT_LLM__MODEL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model and who serves it.

    `model` is the id people use; `wire_model` its name at the provider; `kind` the entry point that makes the
    provider. `reason` and `how_to_change` are sentences for people. `notes` are warnings.
    """

    model: str
    wire_model: str
    kind: str
    reason: str
    how_to_change: str = HOW
    vendor: str = ""
    api_base: str | None = None
    api_key: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the configuration says of the model."""

    model: str = "auto"
    api_base: str | None = None
    api_key: str = field(default="", repr=False)


def choose(
    wanted: Wanted,
    *,
    environ: Mapping[str, str],
    found: Sequence[str] = (),
    kinds: Collection[str] = (),
) -> Choice:
    """Decide.

    `found` are models that are already running: those served at `wanted.api_base` when it is set, else Ollama's on
    this machine. `kinds` are provider entry points from plugins: a model id `kind/name` goes to that kind.
    """
    if wanted.model == "auto":
        return automatic(wanted, environ, found)
    if wanted.model == "offline":
        return offline("llm.model is offline")
    return named(wanted, wanted.model, environ, kinds, f"llm.model is {wanted.model}")


def automatic(wanted: Wanted, environ: Mapping[str, str], found: Sequence[str]) -> Choice:
    """The order of the contracts: a key, then Ollama, then offline; an own `api_base` comes before them."""
    if wanted.api_base:
        if not found:
            return offline(
                f"llm.api_base is set, but nothing there lists a model: {wanted.api_base}"
            )
        reason = f"the first model served at {wanted.api_base}"
        return named(wanted, f"custom_openai/{found[0]}", environ, (), reason)
    if wanted.api_key and (vendor := vendor_of_key(wanted.api_key)):
        return named(wanted, vendor.model, environ, (), f"llm.api_key is a key of {vendor.prefix}")
    for vendor in in_auto_order():
        if key_in(vendor, environ):
            variable = next(name for name in vendor.key if environ.get(name))
            return named(wanted, vendor.model, environ, (), f"{variable} is set")
    if found:
        reason = "Ollama is running on this machine"
        return named(wanted, f"ollama/{found[0]}", environ, (), reason)
    if wanted.api_key:
        return offline("llm.api_key is set, but not whose key it is: llm.model is auto")
    return offline("no key of a model vendor is set and no Ollama is running")


def offline(reason: str) -> Choice:
    return Choice(
        model="offline",
        wire_model="offline",
        kind="offline",
        reason=reason,
        how_to_change="set OPENAI_API_KEY, ANTHROPIC_API_KEY or another vendor's key, start Ollama, or "
        + HOW,
    )


def named(
    wanted: Wanted, model: str, environ: Mapping[str, str], kinds: Collection[str], reason: str
) -> Choice:
    """Who serves a model id: a plugin's kind, the native provider where the protocol is OpenAI's, else LiteLLM."""
    prefix, _, rest = model.partition("/")
    if rest and prefix in kinds:
        return Choice(
            model=model,
            wire_model=rest,
            kind=prefix,
            reason=reason,
            vendor=prefix,
            api_base=wanted.api_base,
            api_key=wanted.api_key,
        )
    vendor, name = vendor_of(model)
    key = key_for(wanted, vendor, environ)
    base = base_for(wanted, vendor, environ)
    if base and (vendor is None or vendor.custom or not wanted.api_base):
        return Choice(
            model=model.removeprefix("custom_openai/"),
            wire_model=wire_name(vendor, name),
            kind="openai",
            reason=reason,
            vendor=vendor.prefix if vendor and vendor.api_base == base else "",
            api_base=base,
            api_key=key,
            notes=plain_http_note(base),
        )
    return Choice(
        model=model,
        wire_model=model,
        kind="litellm",
        reason=reason,
        vendor=vendor.prefix if vendor else prefix,
        api_base=wanted.api_base,
        api_key=key,
        notes=plain_http_note(wanted.api_base),
    )


def wire_name(vendor: Vendor | None, name: str) -> str:
    """OpenRouter's own models keep their prefix there."""
    if vendor is not None and vendor.prefix == "openrouter" and "/" not in name:
        return f"openrouter/{name}"
    return name


def base_for(wanted: Wanted, vendor: Vendor | None, environ: Mapping[str, str]) -> str | None:
    """Where a native call goes; `None` when the protocol is not OpenAI's."""
    if wanted.api_base:
        return wanted.api_base
    if vendor is None:
        return None
    if vendor.prefix == "openai" and environ.get("OPENAI_BASE_URL"):
        return environ["OPENAI_BASE_URL"]
    return vendor.api_base


def key_for(wanted: Wanted, vendor: Vendor | None, environ: Mapping[str, str]) -> str:
    """The key to send: the configured one, else the vendor's variable.

    A configured key that is merely OpenAI's variable (`api_key: ${OPENAI_API_KEY:-}`) is not sent to other vendors,
    and no vendor's variable is sent to an `api_base` of one's own.
    """
    if wanted.api_base:
        return wanted.api_key
    own = key_in(vendor, environ) if vendor else ""
    borrowed = wanted.api_key and wanted.api_key == environ.get("OPENAI_API_KEY")
    if borrowed and not (vendor and vendor.prefix == "openai"):
        return own
    return wanted.api_key or own


def plain_http_note(api_base: str | None) -> tuple[str, ...]:
    """A warning when prompts and the key would cross a network unencrypted. Raises `ConfigError` for no address."""
    if not api_base:
        return ()
    url = parsed_base(api_base)
    if url.scheme != "http" or is_loopback(url.host or ""):
        return ()
    return (
        f"{url.host_port_subcomponent} is called over plain http: prompts and the key are not encrypted",
    )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def ollama_wanted(wanted: Wanted, environ: Mapping[str, str]) -> bool:
    """Whether the choice depends on an Ollama running here, so that it is worth asking."""
    if wanted.model != "auto" or wanted.api_base:
        return False
    return automatic(wanted, environ, ()).kind == "offline"
