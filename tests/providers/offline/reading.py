"""Reading answers back: the figure in the sentence and the rows of the table."""

import re


def figure(answer: str) -> str:
    """The last bold figure of the first paragraph."""
    found = re.findall(r"\*\*([^*]+)\*\*", answer.split("\n\n", maxsplit=1)[0])
    assert found, f"no figure in: {answer}"
    return found[-1]


def table(answer: str) -> list[list[str]]:
    """The rows of the Markdown table, without its heads."""
    lines = [line for line in answer.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def column(answer: str, number: int) -> list[str]:
    return [row[number] for row in table(answer)]
