"""Reads tensors from a safetensors file: a length, a JSON header, raw little-endian numbers.

Not a general reader: it knows the one number type our weights have. Tensors are views of the mapped file, so reading
costs no memory until they are used.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_HEADER = 16 * 1024 * 1024


def read_safetensors(path: Path) -> "Mapping[str, NDArray[np.float32]]":
    """The float32 tensors of the file by name; others are left out. Raises `ValueError` on a malformed file."""
    import numpy as np

    header, start = _header(path)
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=start)
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= data.size:
            raise ValueError(f"tensor {name} lies outside the file")
        tensors[name] = data[begin:end].view("<f4").reshape(entry["shape"])
    return tensors


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise ValueError("the file is too short")
        (length,) = struct.unpack("<Q", prefix)
        if not 0 < length <= _MAX_HEADER:
            raise ValueError("the header has an impossible length")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ValueError("the header is not JSON") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header, 8 + length
