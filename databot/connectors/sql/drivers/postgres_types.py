"""PostgreSQL's types as Arrow's, where the two agree for every value."""

from typing import Any

import pyarrow as pa

_TYPES: dict[str, Any] = {
    "bool": pa.bool_(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "json": pa.string(),
    "jsonb": pa.string(),
    "interval": pa.string(),
    "xml": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


def arrow_type(name: str) -> Any:  # noqa: ANN401 - a pyarrow DataType
    """The Arrow type, or `None` where the values decide (numeric, arrays, enums, extensions)."""
    return _TYPES.get(name)
