"""Which model serves, and who serves it."""

import pytest

from databot.providers.select import Choice, Wanted, choose, is_loopback, ollama_wanted
from databot.providers.vendors import VENDORS, vendor_of

OWN = "http://127.0.0.1:9000/v1"


def chosen(
    model: str = "auto",
    *,
    api_base: str | None = None,
    api_key: str = "",
    found: tuple[str, ...] = (),
    **environ: str,
) -> Choice:
    wanted = Wanted(model=model, api_base=api_base, api_key=api_key)
    return choose(wanted, environ=environ, found=found)


def test_auto_takes_a_key_in_the_environment_before_ollama_before_offline() -> None:
    with_key = chosen(GROQ_API_KEY="gsk_1", found=("llama3.2:latest",))
    assert (with_key.model, with_key.kind, with_key.api_key) == (
        "groq/openai/gpt-oss-120b",
        "openai",
        "gsk_1",
    )
    assert with_key.reason == "GROQ_API_KEY is set"
    local = chosen(found=("llama3.2:latest", "other"))
    assert (local.model, local.wire_model) == ("ollama/llama3.2:latest", "llama3.2:latest")
    assert local.api_base == "http://127.0.0.1:11434/v1"
    assert chosen().kind == "offline"
    assert "no key" in chosen().reason


def test_openai_comes_first_when_several_keys_are_set() -> None:
    assert chosen(ANTHROPIC_API_KEY="a", OPENAI_API_KEY="b").vendor == "openai"
    assert chosen(ANTHROPIC_API_KEY="a", GEMINI_API_KEY="b").vendor == "anthropic"


@pytest.mark.parametrize("vendor", [v for v in VENDORS if v.model], ids=lambda v: v.prefix)
def test_every_vendor_with_a_key_can_be_chosen(vendor: object) -> None:
    assert hasattr(vendor, "key")
    made = chosen(**{vendor.key[0]: "some-key"})  # type: ignore[attr-defined] - asserted above
    assert made.api_key == "some-key"
    assert made.kind in {"openai", "litellm"}
    assert made.how_to_change.startswith("set llm.model")


def test_a_configured_key_tells_its_vendor() -> None:
    assert chosen(api_key="sk-ant-1").vendor == "anthropic"
    assert chosen(api_key="sk-or-1").wire_model == "openrouter/auto"
    unknown = chosen(api_key="who-knows")
    assert unknown.kind == "offline"
    assert "llm.api_key" in unknown.reason


@pytest.mark.parametrize(
    ("model", "kind", "wire"),
    [
        ("openai/gpt-5.4-mini", "openai", "gpt-5.4-mini"),
        ("gpt-5.4-mini", "openai", "gpt-5.4-mini"),
        ("o3", "openai", "o3"),
        ("groq/openai/gpt-oss-120b", "openai", "openai/gpt-oss-120b"),
        ("openrouter/anthropic/claude-sonnet-5", "openai", "anthropic/claude-sonnet-5"),
        ("ollama/llama3.2", "openai", "llama3.2"),
        ("claude-sonnet-5", "litellm", "claude-sonnet-5"),
        ("anthropic/claude-sonnet-5", "litellm", "anthropic/claude-sonnet-5"),
        ("bedrock/some.model", "litellm", "bedrock/some.model"),
        ("nobody/knows", "litellm", "nobody/knows"),
        ("offline", "offline", "offline"),
    ],
)
def test_a_model_id_says_who_serves_it(model: str, kind: str, wire: str) -> None:
    made = chosen(model)
    assert (made.kind, made.wire_model, made.model) == (kind, wire, model)


@pytest.mark.parametrize(
    ("model", "kind", "wire"),
    [
        ("openai/anything", "openai", "anything"),
        ("anything", "openai", "anything"),
        ("meta-llama/Llama-4", "openai", "meta-llama/Llama-4"),
        ("hosted_vllm/meta-llama/Llama-4", "openai", "meta-llama/Llama-4"),
        ("azure/my-deployment", "litellm", "azure/my-deployment"),
    ],
)
def test_an_address_of_ones_own_is_called_natively_unless_its_protocol_is_another(
    model: str, kind: str, wire: str
) -> None:
    made = chosen(model, api_base=OWN)
    assert (made.kind, made.wire_model, made.api_base) == (kind, wire, OWN)


def test_auto_with_an_address_takes_the_first_model_served_there() -> None:
    made = chosen(api_base=OWN, found=("org/model-a", "model-b"), OPENAI_API_KEY="sk-1")
    assert (made.model, made.wire_model, made.api_base) == ("org/model-a", "org/model-a", OWN)
    assert chosen(api_base=OWN).kind == "offline"


def test_no_vendors_key_is_sent_to_another() -> None:
    borrowed = chosen("groq/x", api_key="sk-1", OPENAI_API_KEY="sk-1", GROQ_API_KEY="gsk_2")
    assert borrowed.api_key == "gsk_2"
    assert chosen("groq/x", api_key="sk-1", OPENAI_API_KEY="sk-1").api_key == ""
    assert chosen("openai/x", api_base=OWN, OPENAI_API_KEY="sk-1").api_key == ""
    assert chosen("openai/x", api_base=OWN, api_key="mine").api_key == "mine"
    assert chosen("openai/x", api_key="mine", OPENAI_API_KEY="sk-1").api_key == "mine"


def test_a_key_is_never_shown() -> None:
    assert "gsk_secret" not in repr(chosen(GROQ_API_KEY="gsk_secret"))
    assert "gsk_secret" not in repr(Wanted(api_key="gsk_secret"))


def test_openais_own_address_variable_is_honoured() -> None:
    made = chosen("openai/x", OPENAI_API_KEY="k", OPENAI_BASE_URL="https://proxy.example/v1")
    assert (made.api_base, made.api_key) == ("https://proxy.example/v1", "k")


def test_plain_http_beyond_this_machine_is_mentioned() -> None:
    assert chosen("openai/x", api_base="http://10.0.0.5:8000/v1").notes
    assert chosen("openai/x", api_base="http://127.evil.example/v1").notes
    for base in ("https://10.0.0.5/v1", OWN, "http://localhost:1/v1", "http://[::1]:1/v1"):
        assert chosen("openai/x", api_base=base).notes == ()
    assert not is_loopback("127.evil.example")


def test_a_plugins_kind_is_reached_by_its_name() -> None:
    made = choose(Wanted(model="acme/big"), environ={}, kinds=("acme",))
    assert (made.kind, made.wire_model) == ("acme", "big")


def test_ollama_is_asked_only_when_the_choice_depends_on_it() -> None:
    assert ollama_wanted(Wanted(), {})
    assert not ollama_wanted(Wanted(), {"OPENAI_API_KEY": "k"})
    assert not ollama_wanted(Wanted(model="offline"), {})
    assert not ollama_wanted(Wanted(api_base=OWN), {})


def test_prefixes_are_told_from_names_with_slashes() -> None:
    assert vendor_of("meta-llama/Llama")[0] is None
    vendor, name = vendor_of("groq/meta-llama/Llama")
    assert vendor is not None
    assert (vendor.prefix, name) == ("groq", "meta-llama/Llama")
