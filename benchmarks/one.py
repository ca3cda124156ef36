"""One benchmark in its own process: `python -m benchmarks.one NAME [--quick]` writes its figures to stdout as JSON."""

import argparse
import sys

import orjson
import uvloop

from benchmarks.measure import make_scale
from benchmarks.suite import WHERE, find


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one")
    parser.add_argument("name", choices=WHERE)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()

    async def measured() -> bytes:
        figures = await find(given.name)(make_scale(quick=given.quick))
        return orjson.dumps([figure.as_data() for figure in figures])

    sys.stdout.buffer.write(uvloop.run(measured()))


if __name__ == "__main__":
    main()
