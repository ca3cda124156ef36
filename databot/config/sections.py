"""The shape of the configuration: one pydantic model a section, unknown keys refused.

Sections whose content belongs to an implementation (`connectors`, `channels`, plugin options) stay raw mappings: the
composition root validates them with the implementation's own `Config`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from databot.config.section import Section

IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
RawOptions = dict[str, Any]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
LEAST_KEY = 16


class LLMSection(Section):
    """Which model answers, and within which limits."""

    model: str = Field(
        default="auto", min_length=1, description="A LiteLLM model id, `offline`, or `auto`."
    )
    api_base: str | None = Field(
        default=None, description="Base URL of an OpenAI-compatible server."
    )
    api_key: SecretStr = Field(default=SecretStr(""), description="The vendor's key.")
    fallbacks: list[str] = Field(
        default_factory=list, description="Models tried in order when a call fails in passing."
    )
    timeout_s: float = Field(
        default=60.0, gt=0, le=3600, description="Longest wait for the next token."
    )
    max_output_tokens: int = Field(
        default=2048, ge=16, le=200_000, description="Bound of one answer."
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="0 is the most repeatable.")


class GatewaySection(Section):
    """The HTTP service."""

    host: str = Field(
        default="127.0.0.1", description="Address to listen on; not loopback needs `auth`."
    )
    port: int = Field(
        default=18790, ge=0, le=65535, description="Port; 0 takes a free one and prints it."
    )
    public_url: HttpUrl | None = Field(
        default=None, description="How the outside reaches this service."
    )
    cors_origins: list[str] = Field(
        default_factory=list, description="Origins whose pages may call the API."
    )
    trusted_proxies: list[str] = Field(
        default_factory=list, description="Networks whose `X-Forwarded-For` is believed."
    )
    max_body_mb: float = Field(
        default=20, gt=0, le=1024, description="Largest request body, in MB."
    )


class ApiKey(Section):
    """A key that may call the API, and for whom it speaks."""

    key: SecretStr = Field(description="The secret: at least 16 characters.", min_length=LEAST_KEY)
    name: Identifier = Field(default="api", description="Who it is; unique in its tenant.")
    tenant: Identifier = Field(default="default", description="The tenant it belongs to.")
    roles: list[str] = Field(
        default_factory=lambda: ["api"],
        description="`operator`, `admin` or `owner` also looks after jobs, dead letters and figures.",
    )


class RateLimit(Section):
    """At most `requests` in `per_s` seconds for each key, and for each address without one."""

    requests: int = Field(default=120, ge=1, description="Requests allowed in the window.")
    per_s: float = Field(default=60, gt=0, description="Length of the window, in seconds.")


class AuthSection(Section):
    """Who may call the HTTP service."""

    api_keys: list[ApiKey | SecretStr] = Field(
        default_factory=list, description="Secrets, or `{key, name, tenant, roles}`."
    )
    oidc: None = Field(default=None, description="Reserved.")
    rate_limit: RateLimit = Field(default_factory=RateLimit, description="Requests per caller.")

    @field_validator("api_keys")
    @classmethod
    def long_enough(cls, keys: list[ApiKey | SecretStr]) -> list[ApiKey | SecretStr]:
        """A bare secret is held to what a spelled-out key is held to."""
        for key in keys:
            if isinstance(key, SecretStr) and len(key.get_secret_value()) < LEAST_KEY:
                raise ValueError(f"a key must have at least {LEAST_KEY} characters")
        return keys


class AgentSection(Section):
    """Bounds of one turn."""

    max_iterations: int = Field(default=20, ge=1, le=200, description="Model calls in one turn.")
    turn_timeout_s: float = Field(default=300, gt=0, le=86_400, description="Longest turn.")
    history_turns: int = Field(
        default=40, ge=0, le=1000, description="Earlier turns given to the model."
    )
    context_tokens: int = Field(
        default=24_000, ge=4_000, description="Bound of one prompt, estimated."
    )
    approval_required: list[str] = Field(
        default_factory=list, description="Tools that must not run without a person's approval."
    )
    reasoning: Literal["auto", "simple", "react"] = Field(
        default="auto",
        description="`react` spells tool calls out in text, for models without them.",
    )


class SpecialistSection(Section):
    """A specialist added, or one of the six changed; what is left out keeps its preset."""

    description: str | None = Field(
        default=None, description="What it is for; the router reads it."
    )
    prompt: str | None = Field(default=None, description="Its instructions.")
    tools: list[str] | None = Field(default=None, description="The tools it may use.")
    model: str | None = Field(default=None, description="Its own model.")
    enabled: bool = Field(default=True, description="`false` removes it.")


class AgentsSection(Section):
    """Which specialists there are and how one is chosen."""

    enabled: bool = Field(default=True, description="`false`: one general agent with every tool.")
    router: Literal["llm", "rules"] = Field(
        default="llm", description="`rules` only, or rules first and then the model."
    )
    specialists: dict[Identifier, SpecialistSection] = Field(
        default_factory=dict, description="By name."
    )


class FilesSection(Section):
    """The folder file tools are confined to."""

    root: Path = Field(default=Path("./workspace"), description="Reserved.")
    write: Literal[False] = Field(default=False, description="Reserved.")


class ShellSection(Section):
    """The shell tool."""

    enabled: Literal[False] = Field(default=False, description="Reserved.")
    allow: list[str] = Field(default_factory=list, max_length=0, description="Reserved.")


class WebSection(Section):
    """The web tools."""

    allow_hosts: list[str] = Field(default_factory=list, max_length=0, description="Reserved.")


class ToolsSection(Section):
    """Which tools exist."""

    enabled: list[str] = Field(
        default_factory=list, description="Empty: all that have what they need."
    )
    files: FilesSection = Field(default_factory=FilesSection, description="File tools.")
    shell: ShellSection = Field(default_factory=ShellSection, description="The shell tool.")
    web: WebSection = Field(default_factory=WebSection, description="Web tools.")
    options: dict[str, RawOptions] = Field(
        default_factory=dict, description="Options of plugin tools, by tool name."
    )


class RagSection(Section):
    """Retrieval: what is indexed and how it is found."""

    enabled: bool = Field(default=True, description="`false` adds nothing to prompts.")
    embedding: str = Field(default="local", description="`local`, or a LiteLLM embedding model.")
    api_base: str | None = Field(
        default=None, description="Base URL of the embedding model's service."
    )
    api_key: SecretStr = Field(
        default=SecretStr(""), description="Its key; empty: the vendor's variable."
    )
    chroma: HttpUrl | None = Field(
        default=None, description="URL of a Chroma server; empty embeds Chroma."
    )
    top_k: int = Field(default=6, ge=1, le=50, description="Passages added to a prompt.")
    sources: list[Path] = Field(
        default_factory=list, description="Files and folders of Markdown or text to index."
    )


class MemorySection(Section):
    """How a long conversation is kept within the prompt."""

    strategy: str = Field(
        default="buffer",
        description="An entry point of databot.memory; `buffer`: the last turns as they are.",
    )


class SemanticCacheSection(Section):
    """Answers of alike questions."""

    enabled: Literal[False] = Field(default=False, description="Reserved.")
    threshold: float = Field(default=0.95, ge=0, le=1, description="Least similarity.")
    ttl_s: float = Field(default=86_400, gt=0, description="Longest age.")


class CacheSection(Section):
    """Caches."""

    semantic: SemanticCacheSection = Field(
        default_factory=SemanticCacheSection, description="The semantic cache."
    )


class ObservabilitySection(Section):
    """Logs and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="One line an event.")
    otlp_endpoint: HttpUrl | None = Field(
        default=None, description="OTLP/HTTP collector; needs the otel extra."
    )
    metrics: bool = Field(default=True, description="Serve `/metrics`.")


class PluginsSection(Section):
    """Which installed plugins are loaded."""

    allow: list[str] | None = Field(
        default=None, description="Distributions allowed; empty: all installed."
    )
    disable: list[str] = Field(default_factory=list, description="Entry points left out.")


class BotSection(Section):
    """One configured assistant."""

    name: str = Field(default="databot", description="What it calls itself.")
    system_prompt: str = Field(default="", description="Added to every prompt.")
    tools: list[str] = Field(default_factory=list, description="Empty: all tools.")
    connectors: list[str] = Field(default_factory=list, description="Empty: all connectors.")
    knowledge: list[str] = Field(default_factory=list, max_length=0, description="Reserved.")
    tenant: Identifier | None = Field(
        default=None, description="The tenant it belongs to; empty: every tenant."
    )


class McpServeSection(Section):
    """databot as an MCP server."""

    enabled: bool = Field(default=True, description="Reserved.")


class McpSection(Section):
    """The Model Context Protocol."""

    servers: dict[str, RawOptions] = Field(
        default_factory=dict, max_length=0, description="Reserved."
    )
    serve: McpServeSection = Field(default_factory=McpServeSection, description="Reserved.")


class CronSection(Section):
    """Scheduled questions."""

    timezone: str = Field(default="UTC", description="Reserved.")
    jobs: list[RawOptions] = Field(default_factory=list, max_length=0, description="Reserved.")
