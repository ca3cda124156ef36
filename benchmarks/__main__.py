"""`python -m benchmarks`: run the benchmarks, print a table, and write JSON where asked.

    python -m benchmarks --quick --only turns,store_append --json bench.json

Exits with 1 when a benchmark could not be run; a missed target is told and is no failure.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from benchmarks.figures import Figure, from_data, table
from benchmarks.measure import spin_ms
from benchmarks.suite import WHERE

LIMIT_S = 600
ERROR_CHARACTERS = 2_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    given = parse(argv)
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    spins: dict[str, float] = {}
    say(f"{machine()}; rows: {len(given.only)}; rounds alternate, figures are medians")
    for name in given.only:
        spins[name] = spin_ms()
        begun = time.perf_counter()
        try:
            found = run(name, quick=given.quick)
        except RuntimeError as error:
            failed[name] = str(error)
            say(f"{name}: failed: {error}")
            continue
        figures += found
        say(f"{name}: {time.perf_counter() - begun:.0f} s, spin {spins[name]:.0f} ms")
    sys.stdout.write(table(figures) + "\n")
    if given.json is not None:
        write(given.json, figures, spins, failed)
    return 1 if failed else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=names, default=list(WHERE), metavar="NAMES", help=", ".join(WHERE)
    )
    parser.add_argument("--quick", action="store_true", help="small counts: shows that it works")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    return parser.parse_args(argv)


def names(text: str) -> list[str]:
    """Row names, comma-separated."""
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in WHERE]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no row {unknown[0]!r}: {', '.join(WHERE)}")
    return wanted


def run(name: str, *, quick: bool) -> list[Figure]:
    """One benchmark in its own process group, which is gone afterwards whatever happened in it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.one", name, *(["--quick"] if quick else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it took more than {LIMIT_S} s") from error
    finally:
        end_group(process)
    if process.returncode != 0:
        raise RuntimeError(err.decode(errors="replace")[-ERROR_CHARACTERS:].strip())
    return [from_data(data) for data in orjson.loads(out)]


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all it started."""
    with suppress(ProcessLookupError):  # nothing of it is left
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def machine() -> str:
    """What the figures were measured on."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {cores} cores, load {load:.1f}"


def write(
    path: Path, figures: Sequence[Figure], spins: dict[str, float], failed: dict[str, str]
) -> None:
    """The figures as JSON, with what they were measured on."""
    data = {
        "machine": machine(),
        "spin_ms": spins,
        "figures": [figure.as_data() for figure in figures],
        "failed": failed,
    }
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")


def say(line: str) -> None:
    """A line about the run; stdout is for the table."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
