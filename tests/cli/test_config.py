"""`databot config` and `databot init`: nothing secret is shown or written."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from databot.app.workspace import make_config, without_password, write_config
from databot.cli.settings_view import mask
from databot.config.settings import Settings
from databot.types.errors import Conflict
from tests.cli.conftest import Run

SECRET = "hunter2hunter2hunter2"


def test_show_masks_secrets_and_leaves_references_unexpanded(databot: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        f"""
llm: {{api_key: '${{MY_KEY}}', model: offline}}
auth: {{api_keys: [{SECRET}, {{key: {SECRET}, name: ci}}]}}
connectors:
  a: {{type: sql, url: 'postgresql://me:{SECRET}@db/x?sslpassword=1&password={SECRET}'}}
  b: {{type: sql, url: 'postgresql://me:${{DB_PASSWORD}}@db/x', password: {SECRET}}}
"""
    )
    done = databot("config", "show", MY_KEY="expanded-key", DB_PASSWORD="expanded-password")
    assert done.returncode == 0
    assert SECRET not in done.stdout
    assert "expanded" not in done.stdout
    values = yaml.safe_load(done.stdout)
    assert values["llm"]["api_key"] == "${MY_KEY}"
    assert values["llm"]["timeout_s"] == 60
    assert values["connectors"]["b"]["url"] == "postgresql://me:${DB_PASSWORD}@db/x"
    assert values["auth"]["api_keys"][1]["name"] == "ci"


def test_show_tells_what_the_environment_overrides(databot: Run) -> None:
    done = databot("config", "show", "--json", DATABOT_LLM__MODEL="offline")
    assert json.loads(done.stdout)["llm"]["model"] == "offline"


def test_a_password_with_any_character_is_masked_whole() -> None:
    assert mask("mysql://u:p@ss:/w@rd@h/d") == "mysql://u:********@h/d"


def test_the_schema_accepts_the_defaults_and_refuses_a_typo(databot: Run) -> None:
    schema = json.loads(databot("config", "schema").stdout)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"llm": {"model": "offline"}})
    assert not validator.is_valid({"llm": {"modle": "offline"}})


def test_check_says_where_the_configuration_came_from(databot: Run) -> None:
    assert databot("config", "check").stdout == ("ok: built-in defaults (no configuration file)\n")


def test_check_finds_names_that_point_nowhere(databot: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "bots: {default: {connectors: [nowhere]}}\nrag: {sources: [./no-such-folder]}\n"
    )
    done = databot("config", "check")
    assert done.returncode == 2
    assert "bots.default.connectors: there is no connector 'nowhere'" in done.stderr
    assert "no-such-folder does not exist" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("connectors: {a: {type: sequel, url: x}}", "connectors.a.type"),
        ("connectors: {a: {type: sql, ulr: 'sqlite:///a.db'}}", "connectors.a.url"),
        ("connectors: {a: {type: sql, url: 'nonsense'}}", "connectors.a"),
        ("channels: {pigeon: {}}", "channels.pigeon"),
    ],
)
def test_check_finds_options_nobody_takes(
    databot: Run, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = databot("config", "check")
    assert done.returncode == 2
    assert said in done.stderr


def test_init_writes_a_configuration_that_checks(databot: Run, tmp_path: Path) -> None:
    done = databot("init", "work", "--connector-url", "sqlite:///company.db", "--model", "offline")
    assert done.returncode == 0
    path = tmp_path / "work" / "config.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    settings = Settings.load(path, {})
    assert settings.llm.model == "offline"
    assert settings.connectors["warehouse"]["url"] == "sqlite:///company.db"
    assert databot("config", "check", "--config", str(path)).returncode == 0


def test_init_without_a_terminal_asks_nothing_and_never_overwrites(
    databot: Run, tmp_path: Path
) -> None:
    assert databot("init").returncode == 0
    (tmp_path / "config.yaml").write_text("llm: {model: mine}")
    again = databot("init")
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert "mine" in (tmp_path / "config.yaml").read_text()
    assert databot("init", "--force").returncode == 0
    assert "mine" not in (tmp_path / "config.yaml").read_text()


def test_init_writes_no_password_and_says_which_variable_to_set(
    databot: Run, tmp_path: Path
) -> None:
    done = databot("init", "--connector-url", f"postgresql://me:{SECRET}@db:5432/shop")
    text = (tmp_path / "config.yaml").read_text()
    assert SECRET not in text + done.stdout + done.stderr
    assert "export WAREHOUSE_PASSWORD" in done.stderr
    settings = Settings.load(tmp_path / "config.yaml", {"WAREHOUSE_PASSWORD": SECRET})
    assert settings.connectors["warehouse"]["url"] == f"postgresql://me:{SECRET}@db:5432/shop"


@pytest.mark.parametrize(
    ("url", "kept", "secret"),
    [
        ("sqlite:///x.db", "sqlite:///x.db", False),
        ("mysql://me@h/d", "mysql://me@h/d", False),
        ("mysql://me:${PW}@h/d", "mysql://me:${PW}@h/d", False),
        ("mysql://me:a%40b@h/d", "mysql://me:${WAREHOUSE_PASSWORD}@h/d", True),
        ("mysql://me:a@b@h/d", "mysql://me:${WAREHOUSE_PASSWORD}@h/d", True),
    ],
)
def test_a_password_becomes_a_reference(url: str, kept: str, secret: bool) -> None:
    assert without_password(url) == (kept, secret)


@pytest.mark.parametrize("model", ["auto", 'od"d: {model}', "openai/gpt\\x", "- a"])
@pytest.mark.parametrize("url", ["", 'duckdb:///a "b".db', "sqlite:///C:\\x.db"])
def test_whatever_is_filled_in_the_template_stays_valid(model: str, url: str) -> None:
    settings = Settings.parse(yaml.safe_load(make_config(url, model).text))
    assert settings.llm.model == model
    assert (settings.connectors["warehouse"]["url"] if url else "") == url


def test_an_existing_configuration_is_kept(tmp_path: Path) -> None:
    write_config(tmp_path, "a: 1")
    with pytest.raises(Conflict):
        write_config(tmp_path, "a: 2")
    assert (tmp_path / "config.yaml").read_text() == "a: 1"
