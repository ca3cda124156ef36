"""The vendors databot knows: how their models are named, where they answer, which variable holds their key.

A table and look-ups in it. Those with an `api_base` speak OpenAI's protocol and are called natively; all others, and
every vendor not listed, go through LiteLLM.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OLLAMA_BASE = "http://127.0.0.1:11434/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor.

    `prefix` is what its model ids begin with, `key` the variables that may hold its key, `model` the one `auto`
    takes, `key_prefix` how its keys begin where that tells them apart.
    """

    prefix: str
    key: tuple[str, ...] = ()
    model: str = ""
    api_base: str | None = None
    key_prefix: str = ""
    custom: bool = True
    """Whether an own `api_base` under this prefix is taken for an OpenAI-compatible server."""


VENDORS = (
    Vendor(
        prefix="anthropic",
        key=("ANTHROPIC_API_KEY",),
        model="anthropic/claude-sonnet-5",
        key_prefix="sk-ant-",
        custom=False,
    ),
    Vendor(
        prefix="openrouter",
        key=("OPENROUTER_API_KEY",),
        model="openrouter/auto",
        api_base="https://openrouter.ai/api/v1",
        key_prefix="sk-or-",
    ),
    Vendor(
        prefix="openai",
        key=("OPENAI_API_KEY",),
        model="openai/gpt-5.4-mini",
        api_base="https://api.openai.com/v1",
        key_prefix="sk-",
    ),
    Vendor(
        prefix="gemini",
        key=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        model="gemini/gemini-flash-latest",
        key_prefix="AIza",
        custom=False,
    ),
    Vendor(
        prefix="groq",
        key=("GROQ_API_KEY",),
        model="groq/openai/gpt-oss-120b",
        api_base="https://api.groq.com/openai/v1",
        key_prefix="gsk_",
    ),
    Vendor(
        prefix="mistral",
        key=("MISTRAL_API_KEY",),
        model="mistral/mistral-large-latest",
        api_base="https://api.mistral.ai/v1",
    ),
    Vendor(
        prefix="deepseek",
        key=("DEEPSEEK_API_KEY",),
        model="deepseek/deepseek-v4-flash",
        api_base="https://api.deepseek.com/v1",
    ),
    Vendor(
        prefix="xai",
        key=("XAI_API_KEY",),
        model="xai/grok-4.5-latest",
        api_base="https://api.x.ai/v1",
        key_prefix="xai-",
    ),
    Vendor(
        prefix="cerebras",
        key=("CEREBRAS_API_KEY",),
        model="cerebras/gpt-oss-120b",
        api_base="https://api.cerebras.ai/v1",
        key_prefix="csk-",
    ),
    Vendor(
        prefix="together_ai", key=("TOGETHERAI_API_KEY",), api_base="https://api.together.xyz/v1"
    ),
    Vendor(
        prefix="fireworks_ai",
        key=("FIREWORKS_API_KEY",),
        api_base="https://api.fireworks.ai/inference/v1",
    ),
    Vendor(prefix="ollama", api_base=OLLAMA_BASE),
    Vendor(prefix="ollama_chat", api_base=OLLAMA_BASE),
    Vendor(prefix="lm_studio", api_base="http://127.0.0.1:1234/v1"),
    # These name no address of their own: they are native once `llm.api_base` is set.
    Vendor(prefix="hosted_vllm", key=("HOSTED_VLLM_API_KEY",)),
    Vendor(prefix="vllm"),
    Vendor(prefix="litellm_proxy", key=("LITELLM_PROXY_API_KEY",)),
    Vendor(prefix="custom_openai"),
    # These have protocols of their own, wherever they answer.
    *(
        Vendor(prefix=prefix, custom=False)
        for prefix in (
            "azure",
            "azure_ai",
            "bedrock",
            "cohere",
            "cohere_chat",
            "databricks",
            "github_copilot",
            "huggingface",
            "oci",
            "replicate",
            "sagemaker",
            "sagemaker_chat",
            "snowflake",
            "vertex_ai",
            "watsonx",
        )
    ),
)
"""In the order in which `auto` looks for a key, except that a key of OpenAI comes first."""

BY_PREFIX: Mapping[str, Vendor] = {vendor.prefix: vendor for vendor in VENDORS}
BARE_NAMES = {"openai": ("gpt-", "chatgpt-", "o1", "o3", "o4"), "anthropic": ("claude-",)}


def vendor_of(model: str) -> tuple[Vendor | None, str]:
    """The vendor of a model id, and the model's own name; `None` for an id whose vendor is not in the table."""
    prefix, slash, rest = model.partition("/")
    if slash and prefix in BY_PREFIX:
        return BY_PREFIX[prefix], rest
    for name, starts in BARE_NAMES.items():
        if not slash and model.startswith(starts):
            return BY_PREFIX[name], model
    return None, model


def vendor_of_key(key: str) -> Vendor | None:
    """Whose key this is, as far as its first characters tell; `sk-` alone is taken for OpenAI's."""
    return next((v for v in VENDORS if v.key_prefix and key.startswith(v.key_prefix)), None)


def key_in(vendor: Vendor, environ: Mapping[str, str]) -> str:
    """The vendor's key in the environment, or nothing."""
    return next((environ[name] for name in vendor.key if environ.get(name)), "")


def in_auto_order() -> tuple[Vendor, ...]:
    """The vendors `auto` may choose, the most likely one first."""
    able = [vendor for vendor in VENDORS if vendor.model]
    return tuple(sorted(able, key=lambda vendor: vendor.prefix != "openai"))
