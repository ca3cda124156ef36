"""Documents found by retrieval: quoted where they are about the message, and never in place of an honest refusal."""

import pytest

from tests.providers.offline.world import Talk
from tests.providers.offline.worlds import World

PASSAGES = """<reference>
<passage marker="[1]" title="Metrics > Active customer" source="docs/metrics.md">
A customer is active in a period when they placed at least one order.
</passage>
<passage marker="[2]" title="Refund policy" source="docs/refunds.md">
Refunds are made within 30 days.
</passage>
</reference>"""

REFUSED = [
    ("how many customers are from the UK?", "I find no “UK” in the data"),
    ("delete all cancelled orders", "I only read: nothing I do can delete anything"),
    ("drop table orders", "I only read: nothing I do can drop anything"),
    ("update products set price=0", "I only read: nothing I do can update anything"),
    ("select id from orders; drop table orders", "nothing that changes data"),
    ("busiest day", "I do not see which table that is about"),
    ("share of revenue by country", "I work out shares of rows, not of amounts"),
    ("orders by moon phase", "I find no “moon” or “phase”"),
]


@pytest.mark.parametrize(("question", "reason"), REFUSED, ids=[q for q, _ in REFUSED])
async def test_a_document_never_takes_the_place_of_a_refusal(
    shop_world: World, question: str, reason: str
) -> None:
    answer = await Talk(sources=[shop_world.source], system=PASSAGES).ask(question)
    assert reason in answer.split("\n\n")[0]
    assert answer.count("\n- ") == 3
    assert "> A customer" not in answer
    assert "> Refunds" not in answer


async def test_a_document_about_the_message_is_quoted_after_what_was_not_understood(
    shop_world: World,
) -> None:
    answer = await Talk(sources=[shop_world.source], system=PASSAGES).ask(
        "what is the refund policy?"
    )
    parts = answer.split("\n\n")
    assert "I find no “refund” or “policy” in the data" in parts[0]
    assert parts[1] == "A document says, in Refund policy [2]:"
    assert parts[2] == "> Refunds are made within 30 days."
    assert answer.count("\n- ") == 3


async def test_a_document_about_something_else_is_not_quoted(shop_world: World) -> None:
    answer = await Talk(sources=[shop_world.source], system=PASSAGES).ask("what is the weather?")
    assert ">" not in answer
