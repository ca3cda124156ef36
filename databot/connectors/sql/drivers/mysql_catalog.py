"""MySQL's catalog in one query.

Rows of two kinds, told apart by the first cell: `c`olumns (with their table's facts) and `k`ey columns. Joining the two in
SQL, or building JSON there, is slower on information_schema and cut short by `group_concat_max_len`.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from databot.connectors.base import TableInfo
from databot.connectors.sql.catalog_rows import tables_of

SYSTEM_SCHEMAS = "mysql,information_schema,performance_schema,sys"

CATALOG = """
SELECT 'c' AS part, t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.TABLE_COMMENT, t.TABLE_ROWS,
       c.COLUMN_NAME, c.COLUMN_TYPE, c.IS_NULLABLE, c.COLUMN_KEY, c.COLUMN_COMMENT, c.ORDINAL_POSITION AS place
  FROM information_schema.TABLES t
  JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
 WHERE t.TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
   AND CASE WHEN %s <> '' THEN FIND_IN_SET(t.TABLE_SCHEMA, %s) > 0 ELSE FIND_IN_SET(t.TABLE_SCHEMA, %s) = 0 END
UNION ALL
SELECT 'k', k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, '', NULL,
       k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, '', k.ORDINAL_POSITION
  FROM information_schema.KEY_COLUMN_USAGE k
 WHERE k.REFERENCED_TABLE_NAME IS NOT NULL
   AND CASE WHEN %s <> '' THEN FIND_IN_SET(k.TABLE_SCHEMA, %s) > 0 ELSE FIND_IN_SET(k.TABLE_SCHEMA, %s) = 0 END
 ORDER BY 2, 3, 1, 4, place
"""


def tables_from(rows: Iterable[Sequence[Any]]) -> tuple[TableInfo, ...]:
    """The tables of CATALOG's rows."""
    return tables_of(
        [common_row(list(group)) for _, group in groupby(rows, key=lambda row: (row[1], row[2]))]
    )


def common_row(group: Sequence[Sequence[Any]]) -> Sequence[Any]:
    columns = [row for row in group if row[0] == "c"]
    keys = [row for row in group if row[0] == "k"]
    _, schema, name, kind, comment, estimate, *_ = columns[0] if columns else group[0]
    view = kind == "VIEW"
    return (
        schema,
        name,
        kind,
        "" if view else comment,  # a view's comment is the word VIEW
        estimate,
        [[row[6], row[7], row[8] == "YES", row[9] == "PRI", row[10]] for row in columns],
        [[row[3], row[6], row[7], row[8], row[9]] for row in keys],
    )
