"""Prices come from LiteLLM's table, without LiteLLM."""

import subprocess
import sys
from pathlib import Path

import pytest

from databot.providers.pricing import PRICE_FILE, cost_usd, price_pair, prices
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


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, (1e-6, 2e-6)),
        ({"input_cost_per_token": 1e-6, "output_cost_per_token": 0}, (1e-6, 0)),
        ({"input_cost_per_token": 0, "output_cost_per_token": 0}, None),
        ({"input_cost_per_token": "1e-6"}, None),
        ("a note", None),
    ],
)
def test_only_an_entry_with_two_prices_is_a_price(
    entry: object, pair: tuple[float, float] | None
) -> None:
    assert price_pair(entry) == pair


FOUND_NOTHING = "from databot.providers.pricing import prices; assert prices() == {}"


@pytest.mark.parametrize("table", [None, b"", b"{broken"], ids=["none", "empty", "broken"])
def test_a_litellm_without_a_readable_table_has_no_prices(
    tmp_path: Path, table: bytes | None
) -> None:
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").touch()
    if table is not None:
        (package / PRICE_FILE).write_bytes(table)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {FOUND_NOTHING}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_litellm_there_are_no_prices() -> None:
    code = f"import sys; sys.modules['litellm'] = None; {FOUND_NOTHING}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
