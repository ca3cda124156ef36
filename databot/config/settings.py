"""The whole configuration as one value, and the one way to get it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from databot.config.problems import explain
from databot.config.sections import (
    AgentSection,
    AgentsSection,
    AuthSection,
    BotSection,
    CacheSection,
    CronSection,
    GatewaySection,
    Identifier,
    LLMSection,
    McpSection,
    MemorySection,
    ObservabilitySection,
    PluginsSection,
    RagSection,
    RawOptions,
    ToolsSection,
)
from databot.config.shared import DispatchSection, StorageSection
from databot.config.sources import environment_overrides, expand, find_file, merge, read_yaml
from databot.types.errors import ConfigError


def default_bots() -> dict[str, BotSection]:
    return {"default": BotSection()}


class Settings(BaseModel):
    """A validated configuration. Secrets are `SecretStr`: never in `repr`, dumps or errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(default=Path("./.databot"), description="SQLite, Chroma, artifacts.")
    llm: LLMSection = Field(default_factory=LLMSection)
    storage: StorageSection = Field(default_factory=StorageSection)
    dispatch: DispatchSection = Field(default_factory=DispatchSection)
    gateway: GatewaySection = Field(default_factory=GatewaySection)
    auth: AuthSection = Field(default_factory=AuthSection)
    agent: AgentSection = Field(default_factory=AgentSection)
    agents: AgentsSection = Field(default_factory=AgentsSection)
    connectors: dict[Identifier, RawOptions] = Field(default_factory=dict)
    tools: ToolsSection = Field(default_factory=ToolsSection)
    rag: RagSection = Field(default_factory=RagSection)
    memory: MemorySection = Field(default_factory=MemorySection)
    cache: CacheSection = Field(default_factory=CacheSection)
    mcp: McpSection = Field(default_factory=McpSection)
    cron: CronSection = Field(default_factory=CronSection)
    middleware: list[str] = Field(
        default_factory=list, description="Entry-point names, outermost first."
    )
    channels: dict[Identifier, RawOptions] = Field(default_factory=dict)
    observability: ObservabilitySection = Field(default_factory=ObservabilitySection)
    plugins: PluginsSection = Field(default_factory=PluginsSection)
    bots: dict[Identifier, BotSection] = Field(default_factory=default_bots, min_length=1)

    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file it was read from; `None` for built-in defaults."""
        return self._source

    @classmethod
    def load(cls, path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Self:
        """Read the configuration.

        The file is `path`, else `$DATABOT_CONFIG`, else `./config.yaml`, else `~/.databot/config.yaml`, else there is
        none; `DATABOT_SECTION__KEY` variables override it; `${VAR}` and `file:` references are expanded.

        Raises:
            ConfigError: the file is missing or broken, or a key or value is wrong; the message names the path.
        """
        import os

        variables = os.environ if environ is None else environ
        file = find_file(path, variables)
        origin = str(file or "the environment")
        try:
            raw = read_yaml(file) if file else {}
            raw = merge(raw, environment_overrides(variables, cls.model_fields))
            raw = expand(raw, variables)
        except RecursionError as error:
            raise ConfigError(f"{origin} is nested too deeply, or in itself") from error
        settings = cls.parse(raw, origin=origin)
        settings._source = file  # noqa: SLF001 - its own instance
        return settings

    @classmethod
    def parse(cls, raw: Mapping[str, Any], *, origin: str = "the configuration") -> Self:
        """Validate already expanded values; relative paths stay relative to the working directory."""
        try:
            return cls.model_validate(dict(raw))
        except ValidationError as error:
            raise ConfigError(explain(error, cls, origin)) from error

    def storage_url(self) -> str:
        """The storage URL with `{data_dir}` filled in."""
        return self.storage.url.get_secret_value().replace("{data_dir}", str(self.data_dir))
