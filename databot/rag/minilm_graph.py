"""The computation of all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights, built from the official tensors.

A BERT encoder of six layers, mean pooling over the real tokens, and scaling to length 1, all inside the graph. Every
weight matrix is kept as int8 with one scale an output column; products are 8-bit with activations quantised as they
come, which is what makes a query cost half a millisecond. Pure construction: no file is read or written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[np.float32]]

LAYERS = 6
WIDTH = 384
HEADS = 12
HEAD_WIDTH = WIDTH // HEADS
MAX_TOKENS = 256
"""What the model was trained to read; longer texts are cut."""
WEIGHT_LEVELS = 63
"""Seven bits and not eight: processors without VNNI add pairs of products in 16 bits, and eight would overflow there."""
OPSET = 20
EPSILON = 1e-12


def make_minilm(tensors: "Tensors") -> "onnx.ModelProto":
    """The graph `(input_ids, attention_mask) -> vectors`. Raises `KeyError` when a tensor is missing."""
    import onnx

    graph = _Graph()
    hidden = _embeddings(graph, tensors)
    blocked = _blocked(graph)
    for layer in range(LAYERS):
        hidden = _layer(graph, _Layer(tensors, layer), hidden, blocked)
    _pool(graph, hidden)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "minilm", _inputs(), [_output()], graph.initializers),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="databot",
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


def _inputs() -> "list[onnx.ValueInfoProto]":
    import onnx

    make, integer = onnx.helper.make_tensor_value_info, onnx.TensorProto.INT64
    return [make(name, integer, ["texts", "tokens"]) for name in ("input_ids", "attention_mask")]


def _output() -> "onnx.ValueInfoProto":
    import onnx

    return onnx.helper.make_tensor_value_info("vectors", onnx.TensorProto.FLOAT, ["texts", WIDTH])


@dataclass(slots=True)
class _Graph:
    """The graph while it grows; every method adds to it and returns the name of what it added."""

    nodes: "list[onnx.NodeProto]" = field(default_factory=list["onnx.NodeProto"])
    initializers: "list[onnx.TensorProto]" = field(default_factory=list["onnx.TensorProto"])
    constants: dict[tuple[Any, ...], str] = field(default_factory=dict[tuple[Any, ...], str])

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes are of many types
        return self.split(op, *inputs, outputs=1, **attributes)[0]

    def split(self, op: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:  # noqa: ANN401 - as above
        import onnx

        names = [f"v{len(self.nodes)}_{place}" for place in range(outputs)]
        self.nodes.append(onnx.helper.make_node(op, list(inputs), names, **attributes))
        return names

    def tensor(self, values: "NDArray[Any]") -> str:
        import numpy as np
        from onnx import numpy_helper

        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def integers(self, *values: int) -> str:
        """A one-dimensional integer constant, kept once however often it is used."""
        import numpy as np

        if values not in self.constants:
            self.constants[values] = self.tensor(np.array(values, np.int64))
        return self.constants[values]

    def number(self, value: float) -> str:
        import numpy as np

        key = ("number", value)
        if key not in self.constants:
            self.constants[key] = self.tensor(np.array(value, np.float32))
        return self.constants[key]

    def dense(self, value: str, weight: "NDArray[np.float32]", bias: "NDArray[np.float32]") -> str:
        """`value @ weight + bias` in 8-bit integers; `weight` is (in, out)."""
        import numpy as np

        scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / WEIGHT_LEVELS
        rounded = np.rint(weight / scale).astype(np.int8)
        eight_bit, value_scale, zero = self.split("DynamicQuantizeLinear", value, outputs=3)
        weight_zero = self.tensor(np.zeros(weight.shape[1], np.int8))
        product = self.node("MatMulInteger", eight_bit, self.tensor(rounded), zero, weight_zero)
        scales = self.node("Mul", value_scale, self.tensor(scale.astype(np.float32)))
        real = self.node("Mul", self.node("Cast", product, to=1), scales)
        return self.node("Add", real, self.tensor(bias))

    def normalised(self, value: str, weight: "NDArray[Any]", bias: "NDArray[Any]") -> str:
        return self.node(
            "LayerNormalization", value, self.tensor(weight), self.tensor(bias), epsilon=EPSILON
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """The tensors of one encoder layer, transposed to (in, out) as the graph wants them."""

    tensors: "Tensors"
    number: int

    def part(self, name: str) -> "NDArray[np.float32]":
        return self.tensors[f"encoder.layer.{self.number}.{name}"]

    def dense(self, name: str) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        return self.part(f"{name}.weight").T, self.part(f"{name}.bias")

    def norm(self, name: str) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        return self.part(f"{name}.LayerNorm.weight"), self.part(f"{name}.LayerNorm.bias")

    def query_key_value(self) -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
        """The three projections side by side, the query already divided by the root of the head's width."""
        import numpy as np

        names = [f"attention.self.{name}" for name in ("query", "key", "value")]
        parts = [self.dense(name) for name in names]
        factors = (HEAD_WIDTH**-0.5, 1.0, 1.0)
        weight = np.concatenate([w * f for (w, _), f in zip(parts, factors, strict=True)], axis=1)
        bias = np.concatenate([b * f for (_, b), f in zip(parts, factors, strict=True)])
        return weight.astype(np.float32), bias.astype(np.float32)


def _embeddings(graph: _Graph, tensors: "Tensors") -> str:
    """Word vectors (int8 with a scale a word) plus positions; every token is of type 0."""
    import numpy as np

    words = tensors["embeddings.word_embeddings.weight"]
    scale = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-12) / 127
    rounded = graph.tensor(np.rint(words / scale).astype(np.int8))
    word = graph.node("Cast", graph.node("Gather", rounded, "input_ids"), to=1)
    word_scale = graph.node("Gather", graph.tensor(scale.astype(np.float32)), "input_ids")
    positions = tensors["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    placed = positions + tensors["embeddings.token_type_embeddings.weight"][0]
    length = graph.node("Shape", "input_ids", start=1, end=2)
    position = graph.node("Slice", graph.tensor(placed), graph.integers(0), length)
    total = graph.node("Add", graph.node("Mul", word, word_scale), position)
    norm = (tensors[f"embeddings.LayerNorm.{name}"] for name in ("weight", "bias"))
    return graph.normalised(total, *norm)


def _blocked(graph: _Graph) -> str:
    """What is added to attention scores: 0 for real tokens, a large negative number for padding."""
    mask = graph.node("Cast", "attention_mask", to=1)
    mask = graph.node("Unsqueeze", mask, graph.integers(1, 2))
    return graph.node("Mul", graph.node("Sub", graph.number(1.0), mask), graph.number(-10_000.0))


def _layer(graph: _Graph, layer: _Layer, hidden: str, blocked: str) -> str:
    attended = _attention(graph, layer, hidden, blocked)
    projected = graph.dense(attended, *layer.dense("attention.output.dense"))
    hidden = graph.normalised(graph.node("Add", projected, hidden), *layer.norm("attention.output"))
    wide = graph.node("Gelu", graph.dense(hidden, *layer.dense("intermediate.dense")))
    narrow = graph.dense(wide, *layer.dense("output.dense"))
    return graph.normalised(graph.node("Add", narrow, hidden), *layer.norm("output"))


def _attention(graph: _Graph, layer: _Layer, hidden: str, blocked: str) -> str:
    joined = graph.dense(hidden, *layer.query_key_value())
    heads = graph.node("Reshape", joined, graph.integers(0, 0, 3, HEADS, HEAD_WIDTH))
    heads = graph.node("Transpose", heads, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        graph.node("Squeeze", part, graph.integers(0))
        for part in graph.split("Split", heads, graph.integers(1, 1, 1), outputs=3, axis=0)
    )
    scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 1, 3, 2]))
    weights = graph.node("Softmax", graph.node("Add", scores, blocked), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", weights, value), perm=[0, 2, 1, 3])
    return graph.node("Reshape", mixed, graph.integers(0, 0, WIDTH))


def _pool(graph: _Graph, hidden: str) -> None:
    """The mean over real tokens, scaled to length 1, under the output's name."""
    import onnx

    mask = graph.node("Cast", "attention_mask", to=1)
    mask = graph.node("Unsqueeze", mask, graph.integers(2))
    total = graph.node("ReduceSum", graph.node("Mul", hidden, mask), graph.integers(1), keepdims=0)
    count = graph.node("ReduceSum", mask, graph.integers(1), keepdims=0)
    mean = graph.node("Div", total, graph.node("Max", count, graph.number(1e-9)))
    length = graph.node("ReduceL2", mean, graph.integers(1), keepdims=1)
    graph.nodes.append(
        onnx.helper.make_node(
            "Div", [mean, graph.node("Max", length, graph.number(1e-12))], ["vectors"]
        )
    )
