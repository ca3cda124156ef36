"""What a call costs: LiteLLM's price table, read without importing LiteLLM.

Only two numbers a model are kept. A model that is not in the table costs 0, which says "unknown", not "free".
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import orjson

PRICE_FILE = "model_prices_and_context_window_backup.json"


@lru_cache(maxsize=1)
def prices() -> dict[str, tuple[float, float]]:
    """US dollars a token, (input, output), by LiteLLM model id. About 15 ms once: call it in a thread first."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    file = Path(spec.origin).parent / PRICE_FILE
    try:
        table = orjson.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: pair for name, entry in table.items() if (pair := price_pair(entry))}


def price_pair(entry: object) -> tuple[float, float] | None:
    if not isinstance(entry, dict):
        return None
    pair = (entry.get("input_cost_per_token"), entry.get("output_cost_per_token"))
    if not all(isinstance(price, int | float) for price in pair) or not any(pair):
        return None
    return float(pair[0] or 0), float(pair[1] or 0)


def loaded() -> bool:
    """Whether `prices` has been read, so that asking it again is free."""
    return prices.cache_info().currsize > 0


def cost_usd(vendor: str, model: str, input_tokens: int, output_tokens: int) -> float:
    """The price of one call in US dollars; 0 when `vendor/model` and `model` are both unknown."""
    table = prices()
    pair = table.get(f"{vendor}/{model}") or table.get(model)
    if pair is None:
        return 0.0
    return input_tokens * pair[0] + output_tokens * pair[1]
