"""The benchmarks by name, in the order of the table, and where each is written.

Each runs in a process of its own (`python -m benchmarks.one`): what one imports must not weigh on the next.
"""

from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module

from benchmarks.figures import Figure
from benchmarks.measure import Scale

Benchmark = Callable[[Scale], Awaitable[Sequence[Figure]]]

WHERE = {
    "http_floor": "doors",
    "http_post": "doors",
    "ws_message": "doors",
    "llm_call": "models",
    "llm_litellm": "models",
    "llm_stream": "models",
    "store_append": "store",
    "store_group": "appends",
    "store_load": "store",
    "bus_dispatch": "bus",
    "tail_gc": "collector",
    "cli_start": "start",
    "turns": "turns",
    "turns_replicas": "replicas",
    "turns_http": "house",
    "added_latency": "house",
    "isolation": "house",
    "fairness": "fairness",
    "crowd": "crowd",
    "recovery": "recovery",
    "rss": "house",
}


def find(name: str) -> Benchmark:
    """The function that measures a row."""
    return getattr(import_module(f"benchmarks.rows.{WHERE[name]}"), name)
