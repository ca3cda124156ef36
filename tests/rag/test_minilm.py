"""The 8-bit graph against the official computation, written out in numpy."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from databot.rag.base import RetrievalError
from databot.rag.minilm import MiniLM
from databot.rag.model import PreparedModel, find_weights, prepare
from databot.rag.safetensors import read_safetensors

Array = NDArray[np.float32]
erf = np.vectorize(math.erf)
SENTENCES = [
    "How many orders were placed yesterday?",
    "The refund policy allows returns within 30 days of delivery.",
    "Table sales.order_items: id bigint, order_id bigint, quantity integer, unit_price numeric",
    "Émile a payé 30 € pour deux cafés et un croissant à Paris 🥐",
    "The fiscal year begins in February and revenue is recognised on shipment. " * 12,
]


class Reference:
    """BERT as its paper describes it, in plain float32, one text at a time."""

    def __init__(self, weights: Path) -> None:
        self.tensors: Mapping[str, Array] = read_safetensors(weights / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def encode(self, text: str) -> Array:
        tokens = self.tokenizer.encode(text).ids
        part = "embeddings."
        words = self.tensors[part + "word_embeddings.weight"][tokens]
        places = self.tensors[part + "position_embeddings.weight"][: len(tokens)]
        kind = self.tensors[part + "token_type_embeddings.weight"][0]
        hidden = self.norm(words + places + kind, part + "LayerNorm")
        for number in range(6):
            hidden = self.layer(hidden, f"encoder.layer.{number}.")
        mean = hidden.mean(0)
        return mean / np.linalg.norm(mean)

    def layer(self, hidden: Array, part: str) -> Array:
        query, key, value = (
            self.dense(hidden, f"{part}attention.self.{name}")
            .reshape(-1, 12, 32)
            .transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(32)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        mixed = (weights @ value).transpose(1, 0, 2).reshape(len(hidden), 384)
        attended = self.dense(mixed, part + "attention.output.dense") + hidden
        hidden = self.norm(attended, part + "attention.output.LayerNorm")
        wide = self.dense(hidden, part + "intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        return self.norm(
            self.dense(wide, part + "output.dense") + hidden, part + "output.LayerNorm"
        )

    def dense(self, value: Array, name: str) -> Array:
        return value @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, value: Array, name: str) -> Array:
        mean, variance = value.mean(-1, keepdims=True), value.var(-1, keepdims=True)
        scaled = (value - mean) / np.sqrt(variance + 1e-12)
        return scaled * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]


@pytest.fixture(scope="module")
def loaded(model_home: Path) -> MiniLM:
    return MiniLM(prepare(model_home))


def test_vectors_agree_with_the_official_computation(model_home: Path, loaded: MiniLM) -> None:
    reference = Reference(find_weights(model_home))
    for sentence in SENTENCES:
        (vector,) = loaded.encode([sentence])
        assert float(vector @ reference.encode(sentence)) >= 0.99, sentence


def test_a_text_keeps_its_vector_whatever_stands_beside_it(loaded: MiniLM) -> None:
    together = loaded.encode(SENTENCES)
    for sentence, vector in zip(SENTENCES, together, strict=True):
        (alone,) = loaded.encode([sentence])
        assert float(alone @ vector) >= 0.99, sentence


def test_vectors_have_length_1_and_keep_the_order_of_the_texts(loaded: MiniLM) -> None:
    texts = [f"{'word ' * (n % 7)}number {n}" for n in range(70)]
    vectors = loaded.encode(texts)
    assert vectors.shape == (70, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    for place in (0, 33, 69):
        (alone,) = loaded.encode([texts[place]])
        assert int(np.argmax(vectors @ alone)) == place


def test_256_tokens_are_read_and_no_more(loaded: MiniLM) -> None:
    short, long = "goods are shipped daily. " * 30, "goods are shipped daily. " * 60
    end = "The secret word is rhinoceros."
    read, unread = ([loaded.encode([t])[0] for t in (text + end, text)] for text in (short, long))
    assert not np.array_equal(*read)
    assert np.array_equal(*unread)


def test_like_meanings_are_nearer_than_unlike_ones(loaded: MiniLM) -> None:
    refund, money_back, weather = loaded.encode(
        ["Can I get a refund?", "How do I get my money back?", "It will rain in Oslo tomorrow."]
    )
    assert float(refund @ money_back) > 0.6
    assert float(refund @ weather) < 0.2


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800 broken", "🎉" * 50, "x" * 100_000, "a " * 50_000]
)
def test_any_text_has_a_vector(loaded: MiniLM, text: str) -> None:
    (vector,) = loaded.encode([text])
    assert np.isfinite(vector).all()


def test_a_file_that_is_no_model_is_a_clear_error(model_home: Path, tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"not a model")
    with pytest.raises(RetrievalError, match="cannot be loaded"):
        MiniLM(PreparedModel(graph=graph, tokenizer=prepare(model_home).tokenizer))
