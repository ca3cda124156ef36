"""Reading the configuration: files, environment, references, and errors a person can act on."""

from pathlib import Path

import pytest

from databot.config.settings import Settings
from databot.types.errors import ConfigError


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return Settings.load(file, environ)


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.load(environ={})
    assert settings.llm.model == "auto"
    assert settings.storage_url() == "sqlite+aiosqlite:///.databot/databot.db"
    assert settings.source is None


def test_the_file_is_found_where_the_contract_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    home = tmp_path / "home" / ".databot" / "config.yaml"
    home.parent.mkdir(parents=True)
    home.write_text("llm: {model: home}")
    assert Settings.load(environ={}).llm.model == "home"
    Path("config.yaml").write_text("llm: {model: here}")
    assert Settings.load(environ={}).llm.model == "here"
    Path("named.yaml").write_text("llm: {model: named}")
    assert Settings.load(environ={"DATABOT_CONFIG": "named.yaml"}).llm.model == "named"
    assert Settings.load("config.yaml", {"DATABOT_CONFIG": "named.yaml"}).llm.model == "here"


def test_the_environment_overrides_every_key(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "llm: {model: a}\nagent: {max_iterations: 3}\nconnectors: {wh: {type: sql, url: x}}",
        DATABOT_LLM__MODEL="b",
        DATABOT_AGENT__MAX_ITERATIONS="7",
        DATABOT_LLM__FALLBACKS="[c, d]",
        DATABOT_CONNECTORS__WH__URL="sqlite:///y",
        DATABOT_TEST_POSTGRES_URL="ignored",
    )
    assert (settings.llm.model, settings.agent.max_iterations) == ("b", 7)
    assert settings.llm.fallbacks == ["c", "d"]
    assert settings.connectors["wh"]["url"] == "sqlite:///y"


def test_a_value_of_the_environment_that_is_no_yaml_or_a_reference_is_taken_as_it_is(
    tmp_path: Path,
) -> None:
    settings = load(
        tmp_path,
        "{}",
        DATABOT_LLM__API_KEY="${SOME_KEY}",
        SOME_KEY="[1, 2",
        DATABOT_BOTS__DEFAULT__SYSTEM_PROMPT="[always be brief",
    )
    assert settings.llm.api_key.get_secret_value() == "[1, 2"
    assert settings.bots["default"].system_prompt == "[always be brief"


def test_a_variable_of_ones_own_is_no_setting(tmp_path: Path) -> None:
    settings = load(tmp_path, "llm: {api_key: '${DATABOT_KEY}'}", DATABOT_KEY="mine")
    assert settings.llm.api_key.get_secret_value() == "mine"


def test_a_single_underscore_is_told_instead_of_ignored(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DATABOT_LLM_MODEL sets nothing") as caught:
        load(tmp_path, "", DATABOT_LLM_MODEL="x")
    assert "DATABOT_LLM__MODEL" in caught.value.hint


def test_a_top_level_key_is_overridden_by_its_name(tmp_path: Path) -> None:
    assert load(tmp_path, "", DATABOT_DATA_DIR="/x").data_dir == Path("/x")


def test_references_are_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    settings = load(
        tmp_path,
        "llm: {model: '${M}-x', api_key: '${K:-fallback}'}\n"
        f"connectors: {{wh: {{type: sql, url: 'file:{secret}', tags: ['${{M}}']}}}}",
        M="gpt",
    )
    assert settings.llm.model == "gpt-x"
    assert settings.llm.api_key.get_secret_value() == "fallback"
    assert settings.connectors["wh"] == {"type": "sql", "url": "s3cret", "tags": ["gpt"]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("llm: {modle: x}", "unknown key 'llm.modle'; did you mean 'llm.model'?"),
        ("gatway: {}", "did you mean 'gateway'?"),
        ("auth: {zzz: 1}", "unknown key 'auth.zzz'; the keys here are: api_keys,"),
        ("bots: {default: {promt: x}}", "unknown key 'bots.default.promt'"),
        ("llm: {timeout_s: soon}", "llm.timeout_s: input should be a valid number"),
        ("agent: {max_iterations: 0}", "agent.max_iterations"),
        ("llm: {api_key: '${NOPE}'}", "llm.api_key: the environment variable NOPE is not set"),
        ("llm: {api_key: '${NO PE}'}", "reference is broken"),
        ("llm: {api_key: '${NOPE'}", "reference is broken"),
        ("llm: {api_key: 'file:/does/not/exist'}", "the secret file /does/not/exist"),
        ("llm: [", "is not valid YAML at line"),
        ("- a\n- b", "must be a mapping"),
        ("mcp: {servers: {x: {}}}", "mcp.servers: this is reserved for a later version"),
        ("tools: {shell: {enabled: true}}", "tools.shell.enabled: this is reserved"),
        ("llm: hello", "llm: must be a section with keys of its own"),
        ("gateway: {port: yes}", "gateway.port: must be a number, not yes or no"),
        (
            "auth: {api_keys: [{key: abcdefghijklmnop, role: x}]}",
            "config.yaml: unknown key 'auth.api_keys.0.role'; did you mean 'auth.api_keys.0.roles'?",
        ),
        ("auth: {api_keys: [{key: short}]}", "auth.api_keys.0.key: value should have at least 16"),
        ("connectors: {'a b': {}}", "connectors.a b"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_place(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = f"{caught.value.message} {caught.value.hint}"
    assert told in message
    assert "\n" not in caught.value.message


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        Settings.load(tmp_path / "nope.yaml", {})


def test_secrets_show_in_no_representation_and_no_error(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "llm: {api_key: canary-1}\nauth: {api_keys: [canary-2-canary-2, {key: canary-3-canary-3}]}\n"
        "storage: {url: 'postgresql+asyncpg://u:canary-4@h/d'}",
    )
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump()} {settings.llm!r}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "llm: {api_key: {nested: canary-5}}\nauth: {api_keys: [{key: canary-6}]}")
    assert "canary" not in f"{caught.value.message} {caught.value.__cause__}"
