"""Which of the passages an answer was given it cites. Pure."""

import re
from collections.abc import Sequence

from databot.types.evidence import Citation

MARKERS = re.compile(r"(?<!\w)\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
"""`[1]`, `[2, 3]`; not the `[1]` of `rows[1]`."""


def cited(text: str, passages: Sequence[Citation]) -> tuple[Citation, ...]:
    """The passages whose markers stand in the text; what was only read is not what an answer rests on."""
    numbers = {number for group in MARKERS.findall(text) for number in re.findall(r"\d+", group)}
    return tuple(passage for passage in passages if passage.marker.strip("[]") in numbers)
