"""Reading tensors, and refusing what is no tensor file."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from databot.rag.safetensors import read_safetensors


def write(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_float_tensors_are_read_by_name_and_others_left_out(tmp_path: Path) -> None:
    values = np.arange(6, dtype="<f4")
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]},
    }
    tensors = read_safetensors(write(tmp_path / "t", header, values.tobytes() + bytes(8)))
    assert list(tensors) == ["a"]
    assert np.array_equal(tensors["a"], values.reshape(2, 3))


@pytest.mark.parametrize(
    "content", [b"", b"short", struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 4) + b"nope"]
)
def test_a_file_without_a_sound_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"header|short"):
        read_safetensors(path)


@pytest.mark.parametrize("header", [b"[]", b"3"])
def test_a_header_that_is_no_object_is_refused(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValueError, match="not an object"):
        read_safetensors(write(tmp_path / "t", header, b"1234"))


def test_a_tensor_outside_the_file_is_refused(tmp_path: Path) -> None:
    header = {"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}
    with pytest.raises(ValueError, match="outside"):
        read_safetensors(write(tmp_path / "t", header, bytes(8)))
