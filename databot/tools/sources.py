"""Which SQL source a call means, and asking it on the caller's behalf.

Knows no SQL and no result. The connectors are those the tools were given: a bot that may see only some of them gets
tools that see only those.
"""

from collections.abc import Mapping

from databot.connectors.base import CallContext, Connectors, QueryLimits, QueryResult, SqlSource
from databot.tools.base import ToolContext
from databot.types.errors import ConnectorError, InvalidToolArguments, ToolError, shorten


def call_context(context: ToolContext) -> CallContext:
    """The caller as the data system is told it."""
    return CallContext(
        tenant_id=context.conversation.tenant_id,
        principal_id=context.principal.id,
        session_id=context.conversation.session_id,
    )


def choose_sources(connectors: Connectors, name: str | None) -> Mapping[str, SqlSource]:
    """The named SQL source, or all of them.

    Raises:
        ToolError: there is no such source; it lists the names.
        ConnectorError: the source is configured and could not be built, for instance for want of its driver.
    """
    sources = connectors.sql()
    if not sources:
        raise ToolError("no SQL database is connected", hint="add one under `connectors:`")
    if not name:
        return sources
    if name not in sources:
        if name in connectors.names():
            connectors.get(name)  # raises with the reason when it is one that could not be built
        raise InvalidToolArguments(
            f"there is no SQL connector {shorten(name)!r}; the SQL connectors are: {', '.join(sources)}"
        )
    return {name: sources[name]}


def choose_source(connectors: Connectors, name: str | None) -> SqlSource:
    """The named SQL source, or the only one; raises a `ToolError` when that is not one."""
    sources = choose_sources(connectors, name)
    if len(sources) > 1:
        raise InvalidToolArguments(
            f"there are several SQL connectors: give `connector` as one of {', '.join(sources)}"
        )
    return next(iter(sources.values()))


async def ask(
    source: SqlSource, sql: str, context: ToolContext, limits: QueryLimits | None = None
) -> QueryResult:
    """Run the statement; a database that did not understand it gets the model told where to look."""
    try:
        return await source.query(sql, call_context(context), limits)
    except ConnectorError as error:
        if error.hint or error.kind not in {"bad_request", "not_found"}:
            raise
        raise ConnectorError(
            error.message,
            kind=error.kind,
            connector=error.connector,
            hint="look at `schema` for the names that exist, and mind the SQL dialect"
            f" ({source.dialect})",
        ) from error
