"""Embedders: texts to vectors, off the event loop, with the vectors of recent questions kept.

`LocalEmbedder` runs the bundled-by-hash model on this machine; `LiteLLMEmbedder` asks an embedding service. Both must
be prepared before they embed: until then, and whenever they cannot work, they raise `RetrievalError` with the reason.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from databot.rag import model
from databot.rag.base import Embedder, RetrievalError
from databot.rag.text import clean
from databot.rag.workers import Workers
from databot.types.errors import DatabotError, shorten

if TYPE_CHECKING:
    from databot.rag.minilm import MiniLM

Vector = Sequence[float]
QUERY_CACHE = 512
EMBED_TIMEOUT_S = 60.0
PREPARE_TIMEOUT_S = 180.0
LOCAL_BATCH = 32
SERVICE_BATCH = 64
MAX_SERVICE_CHARACTERS = 8_000


class PreparableEmbedder(Embedder, Protocol):
    """An embedder with a beginning and an end."""

    @property
    def ready(self) -> bool:
        """Whether `embed` can be called."""
        ...

    async def prepare(self) -> None:
        """Make ready: load, build, or ask once. Raises `RetrievalError`; may be called again."""
        ...

    async def aclose(self) -> None:
        """Let threads and connections go."""
        ...


class LocalEmbedder:
    """all-MiniLM-L6-v2 on this machine's processor: no key, no network, half a millisecond a question."""

    name = f"local-{model.MODEL}-{model.FORMAT}"
    dimensions = 384

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._workers = Workers("the local embedding model", threads=2)
        self._bulk = asyncio.Lock()
        self._preparing = asyncio.Lock()
        self._model: MiniLM | None = None
        self._cache = _VectorCache()

    @property
    def ready(self) -> bool:
        return self._model is not None

    async def prepare(self) -> None:
        async with self._preparing:
            if self._model is None:
                self._model = await self._workers.run(self._load, timeout_s=PREPARE_TIMEOUT_S)

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """One text is taken for a question and its vector kept; many texts never take more than one core."""
        if len(texts) == 1:
            return [await self._cache.get(texts[0], self._embed_now)]
        vectors: list[Vector] = []
        async with self._bulk:
            # In small steps, so that whoever stops databot does not wait for the whole of it.
            for start in range(0, len(texts), LOCAL_BATCH):
                vectors.extend(await self._embed_now(texts[start : start + LOCAL_BATCH]))
        return vectors

    async def aclose(self) -> None:
        await self._workers.aclose()

    async def _embed_now(self, texts: Sequence[str]) -> Sequence[Vector]:
        loaded = self._model
        if loaded is None:
            raise RetrievalError("the local embedding model is not ready yet")
        vectors = await self._workers.run(lambda: loaded.encode(texts), timeout_s=EMBED_TIMEOUT_S)
        return list(vectors)

    def _load(self) -> "MiniLM":
        from databot.rag.minilm import MiniLM

        return MiniLM(model.prepare(self._data_dir))


class LiteLLMEmbedder:
    """An embedding model behind LiteLLM, e.g. `openai/text-embedding-3-small`.

    `load` imports LiteLLM and gives it: the whole process has one, quiet and bounded as the providers prepare it.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Any],
        *,
        api_base: str | None = None,
        api_key: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        self.name = f"litellm-{name}"
        self._model = name
        self._load = load
        self._api_base = api_base
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._dimensions = 0
        self._cache = _VectorCache()

    @property
    def ready(self) -> bool:
        return self._dimensions > 0

    @property
    def dimensions(self) -> int:
        """Known from the first answer on, 0 before."""
        return self._dimensions

    async def prepare(self) -> None:
        """Import LiteLLM in a thread (it takes seconds) and ask once, to learn the length of a vector."""
        if not self.ready:
            try:
                await asyncio.to_thread(self._load)
            except DatabotError as error:
                raise RetrievalError(error.message, hint=error.hint) from error
            await self._ask(["databot"])

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        if not self.ready:
            raise RetrievalError(f"the embedding model {self._model!r} is not ready yet")
        if len(texts) == 1:
            return [await self._cache.get(texts[0], self._ask)]
        vectors: list[Vector] = []
        for start in range(0, len(texts), SERVICE_BATCH):
            vectors.extend(await self._ask(texts[start : start + SERVICE_BATCH]))
        return vectors

    async def aclose(self) -> None:
        """Close LiteLLM's shared connections only if this embedder may have opened some."""
        if self.ready:
            await self._load().close_litellm_async_clients()

    async def _ask(self, texts: Sequence[str]) -> Sequence[Vector]:
        litellm = self._load()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await litellm.aembedding(
                    model=self._model,
                    input=[clean(text)[:MAX_SERVICE_CHARACTERS] or " " for text in texts],
                    api_base=self._api_base,
                    api_key=self._api_key or None,
                    timeout=self._timeout_s,
                    encoding_format="float",
                    num_retries=0,
                )
                rows = sorted(answer.data, key=lambda row: row["index"])
                vectors = [_unit(row["embedding"]) for row in rows]
        except Exception as error:  # boundary: LiteLLM and whatever the service sends
            raise RetrievalError(
                f"the embedding model {self._model!r} did not answer: {_reason(error, self._timeout_s)}",
                hint="check rag.embedding, the key and the address",
            ) from None  # a vendor's own words may repeat the key
        return self._checked(vectors, len(texts))

    def _checked(self, vectors: list[Vector], wanted: int) -> list[Vector]:
        lengths = {len(vector) for vector in vectors}
        expected = {self._dimensions} if self._dimensions else lengths
        if len(vectors) != wanted or len(lengths) != 1 or lengths != expected:
            raise RetrievalError(
                f"the embedding model {self._model!r} gave vectors of another number or length than asked"
            )
        self._dimensions = len(vectors[0])
        return vectors


class _VectorCache:
    """The vectors of the last questions: the same question gets the same vector, and is embedded once.

    A turn asks for its question once for each kind of chunk, at the same time: the second waits for the first.
    """

    def __init__(self) -> None:
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._asked: dict[str, asyncio.Lock] = {}

    async def get(
        self, text: str, embed: Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
    ) -> Vector:
        if text not in self._vectors:
            async with self._asked.setdefault(text, asyncio.Lock()):
                if text not in self._vectors:
                    try:
                        (self._vectors[text],) = await embed([text])
                    finally:
                        self._asked.pop(text, None)
        self._vectors.move_to_end(text)
        vector = self._vectors[text]
        if len(self._vectors) > QUERY_CACHE:
            self._vectors.popitem(last=False)
        return vector


def _unit(values: Sequence[float]) -> Vector:
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _reason(error: Exception, timeout_s: float) -> str:
    """A vendor's class name says enough; its text may hold the request with the key."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return shorten(type(error).__name__)
