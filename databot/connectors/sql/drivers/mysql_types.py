"""MySQL's column types as Arrow's, where the two agree for every value."""

from typing import Any

import pyarrow as pa
from asyncmy.constants import FIELD_TYPE

_TYPES: dict[int, Any] = {
    FIELD_TYPE.TINY: pa.int64(),
    FIELD_TYPE.SHORT: pa.int64(),
    FIELD_TYPE.INT24: pa.int64(),
    FIELD_TYPE.LONG: pa.int64(),
    FIELD_TYPE.LONGLONG: pa.int64(),
    FIELD_TYPE.YEAR: pa.int64(),
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.DATETIME: pa.timestamp("us"),
    FIELD_TYPE.TIMESTAMP: pa.timestamp("us"),
    FIELD_TYPE.TIME: pa.string(),
    FIELD_TYPE.VARCHAR: pa.string(),
    FIELD_TYPE.VAR_STRING: pa.string(),
    FIELD_TYPE.STRING: pa.string(),
    FIELD_TYPE.JSON: pa.string(),
    FIELD_TYPE.ENUM: pa.string(),
    FIELD_TYPE.SET: pa.string(),
}


def arrow_type(code: int) -> Any:  # noqa: ANN401 - a pyarrow DataType
    """The Arrow type, or `None` where the values decide (decimals; blobs, which may be text)."""
    return _TYPES.get(code)
