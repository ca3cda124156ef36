"""Drawing a specification, in a process of its own with a time limit.

The process gets the specification and nothing else: no environment of ours, no arguments. See `chart_worker` for why it
is a process.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databot.tools.cells import one_line_json
from databot.types.errors import ToolError

WORKER = Path(__file__).with_name("chart_worker.py")
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", "TEMP")
"""What a process needs to start and to find fonts; keys and passwords are not among it."""
PNG_SCALE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A chart as an image, twice."""

    svg: bytes
    png: bytes


class ChartRenderer:
    """Draws each chart within `timeout_s`, and only as many at once as there are `places`, which others may share."""

    def __init__(
        self,
        *,
        timeout_s: float = 30.0,
        places: asyncio.Semaphore | None = None,
        worker: Path = WORKER,
    ) -> None:
        self._timeout_s = timeout_s
        self._places = places or asyncio.Semaphore(1)
        self._worker = worker

    async def draw(self, spec: dict[str, Any]) -> Drawing:
        """The image; raises `ToolError` when it could not be drawn in time. Cancelling ends the process."""
        request = one_line_json({"spec": spec, "scale": PNG_SCALE}).encode()
        async with self._places:
            try:
                async with asyncio.timeout(self._timeout_s):
                    code, out = await self._run(request)
            except (TimeoutError, OSError) as error:
                raise ToolError(
                    f"the chart was not drawn within {self._timeout_s:g} s"
                    if isinstance(error, TimeoutError)
                    else "the drawing process could not be started"
                ) from error
        if code != 0 or len(out) < 8:
            raise ToolError(f"the chart could not be drawn (the drawing process ended with {code})")
        length = int.from_bytes(out[:8], "big")
        return Drawing(svg=out[8 : 8 + length], png=out[8 + length :])

    async def _run(self, request: bytes) -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(self._worker),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            out, _ = await process.communicate(request)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out


def _environment() -> dict[str, str]:
    """In UTC, so that the same result gives the same picture on every machine."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "TZ": "UTC"}
