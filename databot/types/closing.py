"""Leaving an asynchronous stream early, without leaving its source open.

An abandoned async generator is closed whenever the garbage collector comes by; a model call or a query must end at
once instead.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

T = TypeVar("T")


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """The stream for the time of a `with`; closed at its end, if it is one that can be closed."""
    try:
        yield stream
    finally:
        if hasattr(stream, "aclose"):
            await cast("AsyncGenerator[T, Any]", stream).aclose()
