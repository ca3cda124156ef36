"""Leases: for how long a worker that has not been heard of still counts as alive, in SQL.

A row with an `owner` and a `lease_until` belongs to that worker until the time is over or it lets go. A lease only
saves double work; what makes double work harmless is the fence, which every claim raises and every write checks.

Time is the database's own on PostgreSQL, so that machines need not agree; on SQLite, a file of one machine, it is the
machine's monotonic clock, the same for all its processes. A lease lasts `ttl` at most: one that ends far later than that
from now was given by a clock that has been set since (or before a restart), and is over.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, FunctionElement, and_, bindparam, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

WORKER, TTL = "worker", "lease_ttl"
NOW_NAME = "lease_now"


class LeaseNow(FunctionElement[int]):
    """Now in microseconds, by the clock leases go by; on SQLite the parameter `lease_now`."""

    type = BigInteger()
    inherit_cache = True


@compiles(LeaseNow, "sqlite")
def _on_sqlite(element: LeaseNow, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    del element
    return compiler.process(bindparam(NOW_NAME, type_=BigInteger()), **options)


@compiles(LeaseNow, "postgresql")
def _on_postgres(element: LeaseNow, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's
    del element, compiler, options
    return "(extract(epoch from clock_timestamp()) * 1000000)::bigint"


def lease_end() -> ColumnElement[int]:
    """When a lease taken now ends: the parameter `lease_ttl` (microseconds) from now."""
    return LeaseNow() + bindparam(TTL, type_=BigInteger())


def is_free(owner: Column[Any], until: Column[Any]) -> ColumnElement[bool]:
    """Nobody else holds it: no owner, ourselves (the parameter `worker`), or a lease that is over."""
    return or_(owner.is_(None), owner == bindparam(WORKER, type_=owner.type), ~is_live(until))


def is_live(until: Column[Any]) -> ColumnElement[bool]:
    """The lease is not over: it ends later than now, and not much later than a lease taken now would.

    On SQLite a claim brings its time along and may then wait for the lock, while another process takes a newer lease:
    so one that ends up to a `ttl` later than ours would is alive too.
    """
    return and_(until > LeaseNow(), until <= lease_end() + bindparam(TTL, type_=BigInteger()))
