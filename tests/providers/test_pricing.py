"""Prices come from LiteLLM's table, without LiteLLM."""

import subprocess
import sys

import pytest

from databot.providers.pricing import cost_usd, prices
from databot.providers.vendors import VENDORS


def test_a_known_model_has_a_price_under_its_vendors_name_or_its_own() -> None:
    price_in, price_out = prices()["gpt-5-mini"]
    assert cost_usd("openai", "gpt-5-mini", 1000, 10) == 1000 * price_in + 10 * price_out
    assert cost_usd("groq", "openai/gpt-oss-120b", 1000, 0) > 0


def test_an_unknown_model_costs_nothing_that_is_known() -> None:
    assert cost_usd("nobody", "no-such-model", 1000, 1000) == 0


@pytest.mark.parametrize(
    "model", [v.model for v in VENDORS if v.model and v.model != "openrouter/auto"]
)
def test_what_auto_takes_is_a_model_with_a_price(model: str) -> None:
    vendor, _, name = model.partition("/")
    assert cost_usd(vendor, name, 1000, 1000) > 0


def test_reading_prices_imports_no_litellm() -> None:
    code = (
        "import sys; from databot.providers.pricing import prices; "
        "assert prices(); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
