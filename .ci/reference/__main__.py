"""Writes docs/reference/ from the code: settings, commands, routes, events and errors.

    make docs                         writes the pages
    python .ci/reference --check      exits with 1 and names the pages that are not what the code says

What a page says is taken from descriptions and docstrings; to change a page, change the code. Nothing is opened except
a databot in a scratch folder, whose gateway tells its routes.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli_page import cli_page
from config_page import config_page
from errors_page import errors_page
from events_page import events_page
from http_page import http_page
from markdown_text import page

TARGET = Path(__file__).parents[2] / "docs" / "reference"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` only compare them; gives the exit status."""
    pages = make_pages()
    if "--check" in arguments:
        stale = stale_pages(pages)
        for name in stale:
            sys.stdout.write(f"docs/reference/{name} is not what the code says; run `make docs`\n")
        return 1 if stale else 0
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (TARGET / name).write_text(text, encoding="utf-8")
    return 0


def make_pages() -> dict[str, str]:
    """Every page of the reference by its file name."""
    return {
        "config.md": page("Configuration", config_page()),
        "cli.md": page("Command line", cli_page()),
        "http.md": page("HTTP", http_page()),
        "events.md": page("Events", events_page()),
        "errors.md": page("Errors", errors_page()),
    }


def stale_pages(pages: Mapping[str, str]) -> list[str]:
    """The pages whose committed text is another."""
    return [name for name, text in pages.items() if text != read(TARGET / name)]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
