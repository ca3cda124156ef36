"""What differs between SQL dialects in handling time: grouping by month, "last month", a day as a literal.

Each piece is written once in the dialect's own words and parsed by sqlglot, so that it joins the rest of the tree; a
dialect without its own column is written in PostgreSQL's words and transpiled. Nothing here comes from a message except
whole numbers.
"""

from functools import lru_cache

from sqlglot import exp, parse_one

from databot.providers.offline.question import Bound, Grain, Unit

_FAMILIES = {
    "sqlite": "sqlite",
    "duckdb": "duckdb",
    "mysql": "mysql",
    "mariadb": "mysql",
    "doris": "mysql",
    "starrocks": "mysql",
}
_SQLGLOT_NAMES = {"mariadb": "mysql", "postgresql": "postgres", "mssql": "tsql", "": "postgres"}

# Groups are ISO-like text or dates, so that they sort and read the same everywhere: 2024-05, 2024-Q2; weeks are named by
# their Monday.
_BUCKETS: dict[str, dict[Grain, str]] = {
    "sqlite": {
        "hour": "STRFTIME('%Y-%m-%d %H:00', c)",
        "day": "DATE(c)",
        "week": "DATE(c, 'weekday 0', '-6 days')",
        "month": "STRFTIME('%Y-%m', c)",
        "quarter": "STRFTIME('%Y', c) || '-Q' || ((CAST(STRFTIME('%m', c) AS INTEGER) + 2) / 3)",
        "year": "STRFTIME('%Y', c)",
    },
    "duckdb": {
        "hour": "STRFTIME(c, '%Y-%m-%d %H:00')",
        "day": "CAST(c AS DATE)",
        "week": "CAST(DATE_TRUNC('week', c) AS DATE)",
        "month": "STRFTIME(c, '%Y-%m')",
        "quarter": "CAST(YEAR(c) AS TEXT) || '-Q' || CAST(QUARTER(c) AS TEXT)",
        "year": "STRFTIME(c, '%Y')",
    },
    "mysql": {
        "hour": "DATE_FORMAT(c, '%Y-%m-%d %H:00')",
        "day": "DATE(c)",
        "week": "DATE_SUB(DATE(c), INTERVAL WEEKDAY(c) DAY)",
        "month": "DATE_FORMAT(c, '%Y-%m')",
        "quarter": "CONCAT(YEAR(c), '-Q', QUARTER(c))",
        "year": "DATE_FORMAT(c, '%Y')",
    },
    "postgres": {
        "hour": "TO_CHAR(c, 'YYYY-MM-DD HH24:00')",
        "day": "CAST(c AS DATE)",
        "week": "CAST(DATE_TRUNC('week', c) AS DATE)",
        "month": "TO_CHAR(c, 'YYYY-MM')",
        "quarter": "TO_CHAR(c, 'YYYY-\"Q\"Q')",
        "year": "TO_CHAR(c, 'YYYY')",
    },
}

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS = {
    "sqlite": "(CAST(STRFTIME('%w', c) AS INTEGER) + 6) % 7 + 1",
    "duckdb": "ISODOW(c)",
    "mysql": "WEEKDAY(c) + 1",
    "postgres": "EXTRACT(ISODOW FROM c)",
}
_HOURS = {
    "sqlite": "CAST(STRFTIME('%H', c) AS INTEGER)",
    "duckdb": "HOUR(c)",
    "mysql": "HOUR(c)",
    "postgres": "EXTRACT(HOUR FROM c)",
}
for _family_name, _number in _WEEKDAYS.items():
    # Text that sorts as the week goes: 1 Monday, 2 Tuesday, …
    _cases = " ".join(f"WHEN {n} THEN '{n} {day}'" for n, day in enumerate(_DAYS, 1))
    _BUCKETS[_family_name]["weekday"] = f"CASE {_number} {_cases} END"
    _BUCKETS[_family_name]["hour_of_day"] = _HOURS[_family_name]

_SINCE_1970: dict[str, str] = {
    "sqlite": "DATETIME(c / n, 'unixepoch')",
    "duckdb": "(TIMESTAMP '1970-01-01' + TO_SECONDS(CAST(c / n AS BIGINT)))",
    "mysql": "DATE_ADD('1970-01-01', INTERVAL FLOOR(c / n) SECOND)",
    "postgres": "(TIMESTAMP '1970-01-01' + (c / n) * INTERVAL '1 second')",
}

_MONTHS: dict[str, str] = {
    "sqlite": "CAST(STRFTIME('%m', c) AS INTEGER)",
    "duckdb": "MONTH(c)",
    "mysql": "MONTH(c)",
    "postgres": "EXTRACT(MONTH FROM c)",
}

# The start of the current hour, day, …; for SQLite the modifiers that lead there from 'now'.
_SQLITE_FLOORS: dict[Unit, str] = {
    "hour": "",
    "day": "",
    "week": ", 'weekday 0', '-6 days'",
    "month": ", 'start of month'",
    "quarter": ", 'start of month', '-' || ((CAST(STRFTIME('%m', 'now') AS INTEGER) - 1) % 3) || ' months'",
    "year": ", 'start of year'",
}
_MYSQL_FLOORS: dict[Unit, str] = {
    "hour": "CURRENT_TIMESTAMP",
    "day": "CURRENT_DATE",
    "week": "DATE_SUB(CURRENT_DATE, INTERVAL WEEKDAY(CURRENT_DATE) DAY)",
    "month": "CAST(DATE_FORMAT(CURRENT_DATE, '%Y-%m-01') AS DATE)",
    "quarter": "DATE_ADD(MAKEDATE(YEAR(CURRENT_DATE), 1), INTERVAL (QUARTER(CURRENT_DATE) - 1) QUARTER)",
    "year": "MAKEDATE(YEAR(CURRENT_DATE), 1)",
}
_SCALE: dict[Unit, tuple[int, str]] = {
    "hour": (1, "HOUR"),
    "day": (1, "DAY"),
    "week": (7, "DAY"),
    "month": (1, "MONTH"),
    "quarter": (3, "MONTH"),
    "year": (1, "YEAR"),
}


def sqlglot_name(dialect: str) -> str:
    """Sqlglot's name of a connector's dialect."""
    return _SQLGLOT_NAMES.get(dialect, dialect)


def bucket(column: exp.Expr, grain: Grain, dialect: str) -> exp.Expr:
    """The hour, day, … year that a time lies in."""
    family = _family(dialect)
    return _with_column(_BUCKETS[family][grain], family, column)


def since_1970(column: exp.Expr, scale: int, dialect: str) -> exp.Expr:
    """The time (UTC) that a count since 1970 means, `scale` of them a second."""
    family = _family(dialect)
    template = _SINCE_1970[family]
    text = template.replace("c / n", f"c / {scale}" if scale > 1 else "c")
    return _with_column(text, family, column)


def month_of(column: exp.Expr, dialect: str) -> exp.Expr:
    """The month of a time, 1 to 12."""
    family = _family(dialect)
    return _with_column(_MONTHS[family], family, column)


def instant(bound: Bound, dialect: str) -> exp.Expr:
    """A bound as SQL: a date literal, or an expression on the database's own current date."""
    family = _family(dialect)
    if bound.iso:
        literal = exp.Literal.string(bound.iso)
        return literal if family == "sqlite" else exp.cast(literal, "DATE")
    count, unit = _SCALE[bound.by]
    return _parsed(_relative(family, bound.floor, count * bound.shift, unit), family).copy()


def _relative(family: str, floor: Unit, shift: int, unit: str) -> str:
    if family == "sqlite":
        function = "DATETIME" if floor == "hour" else "DATE"
        return f"{function}('now'{_SQLITE_FLOORS[floor]}, '{shift:+d} {unit.lower()}s')"
    if family == "mysql":
        start = _MYSQL_FLOORS[floor]
    elif floor == "hour":
        start = "CURRENT_TIMESTAMP"
    else:
        start = "CURRENT_DATE" if floor == "day" else f"DATE_TRUNC('{floor}', CURRENT_DATE)"
    if not shift:
        return start
    return f"{start} {'+' if shift > 0 else '-'} INTERVAL '{abs(shift)}' {unit}"


def _family(dialect: str) -> str:
    return _FAMILIES.get(dialect, "postgres")


@lru_cache(maxsize=256)
def _parsed(text: str, family: str) -> exp.Expr:
    return parse_one(text, dialect=family)


def _with_column(text: str, family: str, column: exp.Expr) -> exp.Expr:
    tree = _parsed(text, family).copy()
    if isinstance(tree, exp.Column):
        return column
    for place in list(tree.find_all(exp.Column)):
        if place.name == "c":
            place.replace(column.copy())
    return tree
