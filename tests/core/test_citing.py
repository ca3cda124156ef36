"""An answer's citations are the passages it cites, not all it was given."""

import pytest

from databot.core.citing import cited
from databot.types.evidence import Citation

PASSAGES = [
    Citation(marker=f"[{n}]", title=f"T{n}", source=f"{n}.md", quote="…", score=0.5)
    for n in range(1, 13)
]


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("Net of tax [2], see [11].", ["[2]", "[11]"]),
        ("Both say so [1][3].", ["[1]", "[3]"]),
        ("Both say so [3, 1; 2].", ["[1]", "[2]", "[3]"]),
        ("Take rows[1] and [77].", []),
        ("There are 2 orders.", []),
        ("", []),
    ],
)
def test_only_passages_whose_marker_stands_in_the_text_are_cited(
    text: str, markers: list[str]
) -> None:
    assert [passage.marker for passage in cited(text, PASSAGES)] == markers
