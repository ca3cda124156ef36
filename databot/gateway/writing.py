"""Writing to a client within bounds: one that does not read is let go instead of holding its reader's place for ever.

A timer costs more than most writes, so it is set only where a write can wait at all: when the line is not empty, or the
piece is larger than what the line takes at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

WRITE_TIMEOUT_S = 60.0
SMALL_BYTES = 32_000
"""Half of what asyncio buffers before a write has to wait."""


async def write_bounded(
    transport: asyncio.Transport | None, data: bytes, write: Callable[[bytes], Awaitable[None]]
) -> None:
    """`await write(data)`. Raises `ConnectionError` when the client is gone or does not read."""
    if transport is None:
        raise ConnectionResetError("the client left")
    if len(data) <= SMALL_BYTES and not transport.get_write_buffer_size():
        await write(data)
        return
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await write(data)
    except TimeoutError as error:
        transport.abort()  # to close would wait for the client, which is what it does not do
        raise ConnectionAbortedError("the client does not read") from error
