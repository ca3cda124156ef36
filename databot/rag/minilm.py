"""The local embedding model in memory: texts to vectors, one call at a time, blocking.

`embeddings.py` keeps it off the event loop; `model.py` made its files.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from databot.rag.base import RetrievalError
from databot.rag.minilm_graph import MAX_TOKENS, WIDTH
from databot.rag.model import PreparedModel
from databot.rag.text import clean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 32
MAX_CHARACTERS = 8_000
"""256 tokens never need more; tokenizing the rest of a huge text would be wasted."""


class MiniLM:
    """A loaded model. Safe to call from several threads; each call uses one core."""

    def __init__(self, files: PreparedModel) -> None:
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise RetrievalError(
                f"the local embedding model needs the package {error.name}, which cannot be imported here"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(files.graph), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        except Exception as error:  # boundary: native loaders raise bare Exception
            raise RetrievalError(
                f"the local embedding model in {files.graph.parent} cannot be loaded",
                hint="delete that folder; it is made anew at the next start",
            ) from error
        # The file asks for every text to be padded to 128 tokens, which makes a query five times slower.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One vector of length 1 a text, in order."""
        import numpy as np

        cut = [clean(text[:MAX_CHARACTERS]) for text in texts]
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(cut)]
        # Texts of like length share a batch, so that little time goes into padding.
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        vectors = np.empty((len(tokens), WIDTH), np.float32)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            vectors[places] = self._run([tokens[place] for place in places])
        return vectors

    def _run(self, tokens: Sequence[Sequence[int]]) -> "NDArray[np.float32]":
        import numpy as np

        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        return np.asarray(self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
