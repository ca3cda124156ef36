"""Output: whether the answer is text, a chart or a file, and of which kind."""

from dataclasses import replace

from databot.providers.offline.draft import Draft
from databot.providers.offline.reading import Reading

_MARKS = {
    "bar": "bar",
    "column": "bar",
    "line": "line",
    "area": "area",
    "scatter": "point",
    "pie": "arc",
}
_FORMATS = {
    "csv": "csv",
    "excel": "xlsx",
    "xlsx": "xlsx",
    "spreadsheet": "xlsx",
    "parquet": "parquet",
}


def mark_of(reading: Reading) -> str:
    """The mark of the chart that is named, if one is."""
    named = (_MARKS[item.argument] for item in reading.marks("chart") if item.argument)
    return next(named, "")


def format_of(reading: Reading) -> str:
    """The file format that is named; CSV otherwise."""
    named = (_FORMATS[item.argument] for item in reading.marks("export") if item.argument)
    return next(named, "csv")


def with_output(made: Draft) -> Draft:
    """The draft with the form that its message asks for."""
    if made.reading.has("chart"):
        return replace(made, output="chart", mark=mark_of(made.reading))
    if made.reading.has("export"):
        return replace(made, output="export", format=format_of(made.reading))
    return made
