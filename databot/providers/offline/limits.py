"""Limits: combinations of words that are English and that no single SELECT of this analyst says.

Each is refused by name, because the nearest question it could answer is another one.
"""

from databot.providers.offline.reading import Reading


def odd_marks(reading: Reading, *, ranked: bool) -> str:
    """Why the steering words cannot be followed together; empty when they can. `ranked`: something is ranked."""
    if len(reading.marks("count")) > 1:
        return "I count one thing at a time"
    if reading.has("count") and reading.has("avg", "min", "max"):
        return "I cannot take averages or extremes of counts"
    if reading.has("price", "selling", "frequent") and not ranked:
        return "I do not see what is to be ranked"
    return _odd_periods(reading)


def _odd_periods(reading: Reading) -> str:
    """Two stretches of time at once; only "since … until …" makes one of two."""
    found = reading.periods
    if len(found) < 2:
        return ""
    starts = [one for one in found if one.start and not one.end]
    ends = [one for one in found if one.end and not one.start]
    if len(found) == 2 and len(starts) == len(ends) == 1:
        return ""
    return "I look at one period at a time"
