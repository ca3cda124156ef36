"""Says how much of each room the tests run, from coverage's combined data; ends with 1 where it is too little.

Branches count like statements: a room's share is what was run of both. A room needs `ROOM_BAR`, the whole needs
`fail_under` of `pyproject.toml`. Coverage's own report has the lines.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import CoverageException

ROOM_BAR = 95.0
KEYS = ("num_statements", "covered_lines", "num_branches", "covered_branches")
WHOLE = "all"


def main() -> int:
    coverage = Coverage()
    try:
        coverage.load()
        rooms = measured(coverage)
    except CoverageException as error:  # nothing was measured, or the code has changed since
        sys.stderr.write(f"{error}\nrun `make coverage`\n")
        return 1
    rooms[WHOLE] = sum(rooms.values(), Counter[str]())
    sys.stdout.write(f"{'room':<15}{'statements':>13}{'branches':>13}{'run':>10}\n")
    sys.stdout.writelines(line(name, counts) for name, counts in rooms.items())
    bars = {WHOLE: coverage.config.fail_under}
    below = [name for name, counts in rooms.items() if share(counts) < bars.get(name, ROOM_BAR)]
    if below:
        sys.stderr.write(
            f"too little is run: {', '.join(below)}; `coverage report -m` has the lines\n"
        )
    return 1 if below else 0


def measured(coverage: Coverage) -> dict[str, Counter[str]]:
    """The counts of each room; `(top)` is what stands in no room."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "coverage.json"
        coverage.json_report(outfile=str(told))
        files = json.loads(told.read_bytes())["files"]
    rooms: dict[str, Counter[str]] = {}
    for name, file in sorted(files.items()):
        inside = Path(name).parts[1:-1]
        counts = rooms.setdefault(inside[0] if inside else "(top)", Counter())
        counts.update({key: file["summary"][key] for key in KEYS})
    return rooms


def share(counts: Counter[str]) -> float:
    """Per cent of the statements and branches that were run."""
    there = counts["num_statements"] + counts["num_branches"]
    run = counts["covered_lines"] + counts["covered_branches"]
    return 100 * run / there if there else 100.0


def line(name: str, counts: Counter[str]) -> str:
    statements = f"{counts['covered_lines']}/{counts['num_statements']}"
    branches = f"{counts['covered_branches']}/{counts['num_branches']}"
    return f"{name:<15}{statements:>13}{branches:>13}{share(counts):>8.1f} %\n"


if __name__ == "__main__":
    sys.exit(main())
