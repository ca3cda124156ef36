import pytest

from databot.memory.kv import MAX_ITEMS, MAX_KEY, MAX_VALUE, BoundedMemory
from databot.testing.memory_store import MemoryKeyValue
from databot.types.errors import RequestError, TooLarge


@pytest.fixture
def memory() -> BoundedMemory:
    return BoundedMemory(MemoryKeyValue())


async def test_a_fact_within_the_bounds_is_kept_read_and_forgotten(memory: BoundedMemory) -> None:
    await memory.put("t", "p", "k" * MAX_KEY, "v" * MAX_VALUE)
    assert await memory.get("t", "p", "k" * MAX_KEY) == "v" * MAX_VALUE
    assert await memory.delete("t", "p", "k" * MAX_KEY)
    assert await memory.items("t", "p") == {}


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (" ", "v", RequestError),
        ("k" * (MAX_KEY + 1), "v", TooLarge),
        ("k", "v" * (MAX_VALUE + 1), TooLarge),
    ],
)
async def test_a_fact_out_of_bounds_is_refused_and_not_kept(
    memory: BoundedMemory, key: str, value: str, error: type[RequestError]
) -> None:
    with pytest.raises(error):
        await memory.put("t", "p", key, value)
    assert await memory.items("t", "p") == {}


async def test_a_person_with_all_facts_allowed_may_change_one_but_not_add_one(
    memory: BoundedMemory,
) -> None:
    for number in range(MAX_ITEMS):
        await memory.put("t", "p", f"k{number}", "v")
    await memory.put("t", "p", "k0", "changed")
    with pytest.raises(TooLarge):
        await memory.put("t", "p", "one more", "v")
    await memory.put("t", "somebody else", "k", "v")
    assert await memory.get("t", "p", "k0") == "changed"
