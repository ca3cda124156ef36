"""The configuration a new workspace starts with: a commented template and the few choices that are filled in.

It writes one file and never a secret: a password in a given URL becomes a `${VARIABLE}` reference.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from databot.types.errors import ConfigError, Conflict

PASSWORD_VARIABLE = "WAREHOUSE_PASSWORD"  # noqa: S105 - the name of a variable
TEMPLATE = """\
# databot reads this file. `databot config check` validates it, `databot config schema` describes every key,
# and the environment overrides each of them: DATABOT_LLM__MODEL=offline
# ${{VAR}} and ${{VAR:-default}} are replaced by environment variables, so keep secrets there and not here.

# Conversations, indexes and files are kept here.
data_dir: ./.databot

llm:
  # auto: the vendor whose key is in the environment, else Ollama on this machine, else the offline analyst.
  # Or any LiteLLM model id (anthropic/…, gpt-…, ollama/…), or offline.
  model: {model}
  # An OpenAI-compatible server of your own: name the model openai/NAME and say where it is.
  # api_base: http://127.0.0.1:9000/v1
  # api_key: ${{OPENAI_API_KEY:-}}

{connectors}
# Markdown and text files that explain your data: what a metric means, what a column holds.
rag:
  sources: []

# The HTTP service of `databot gateway`. Any other address than loopback needs auth.api_keys.
gateway:
  host: 127.0.0.1
  port: 18790
"""
CONNECTED = """\
# Data systems, each under a name of your choice. Every session is read-only.
connectors:
  warehouse:
    type: sql
    url: {url}
    max_rows: 1000
    timeout_s: 30
"""
UNCONNECTED = """\
# Data systems, each under a name of your choice. Every session is read-only.
connectors: {}
#  warehouse:
#    type: sql
#    url: postgresql://reader:${WAREHOUSE_PASSWORD}@db.example.com:5432/shop
#    # or sqlite:///company.db, duckdb:///company.duckdb, mysql://…
#    max_rows: 1000
#    timeout_s: 30
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConfig:
    """The text of a configuration, and the variables that must be set before it can be used."""

    text: str
    secrets: Sequence[str] = ()


def make_config(connector_url: str = "", model: str = "auto") -> NewConfig:
    """The template with a database and a model filled in. Pure."""
    if not connector_url:
        return NewConfig(text=TEMPLATE.format(model=quoted(model), connectors=UNCONNECTED))
    url, secret = without_password(connector_url)
    connectors = CONNECTED.format(url=quoted(url))
    text = TEMPLATE.format(model=quoted(model), connectors=connectors)
    return NewConfig(text=text, secrets=(PASSWORD_VARIABLE,) if secret else ())


def without_password(url: str) -> tuple[str, bool]:
    """The URL with its password replaced by a reference, and whether there was one."""
    try:
        password = urlsplit(url).password
    except ValueError as error:
        raise ConfigError(
            "the database URL cannot be read",
            hint="write it like postgresql://USER:PASSWORD@HOST:5432/DATABASE",
        ) from error
    if not password or password.startswith("${"):
        return url, False
    head, _, tail = url.rpartition("@")
    return f"{head.removesuffix(password)}${{{PASSWORD_VARIABLE}}}@{tail}", True


def quoted(text: str) -> str:
    """A YAML scalar that means exactly this text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def write_config(directory: Path, text: str, *, force: bool = False) -> Path:
    """Write `config.yaml`, readable by its owner only; an existing one is replaced only with `force`."""
    path = directory / "config.yaml"
    if path.exists() and not force:
        raise Conflict(f"{path} exists already", hint="--force replaces it")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fresh = directory / f".config.yaml.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    return path
