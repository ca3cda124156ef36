"""asyncmy's connection, made to look whether the server offers TLS before it asks for it.

asyncmy would send its request for TLS in any case, and fail on whatever comes back. It never falls back to plain text; nor
does this, unless `optional_tls` says so.
"""

from typing import Any

from asyncmy.connection import Connection
from asyncmy.constants.CLIENT import SSL
from asyncmy.errors import OperationalError

from databot.connectors.sql.drivers.mysql_errors import NOT_OFFERED_NUMBER


class Wire(Connection):
    """A connection that knows what to do where TLS is not offered: go on without it, or stop."""

    def __init__(self, *, optional_tls: bool, **options: Any) -> None:  # noqa: ANN401 - asyncmy's own
        super().__init__(**options)
        self._optional_tls = optional_tls

    async def _request_authentication(self) -> None:
        """Called when the server has said who it is, and before anything of ours is sent."""
        wire: Any = self  # asyncmy's stubs leave out what is not public
        if wire._ssl_context and not wire.server_capabilities & SSL:  # noqa: SLF001 - our own base class
            if not self._optional_tls:
                raise OperationalError(NOT_OFFERED_NUMBER, "the server offers no TLS")
            wire._ssl_context = None  # noqa: SLF001 - our own base class
            wire._client_flag &= ~SSL  # noqa: SLF001 - our own base class
        above: Any = super()
        await above._request_authentication()  # noqa: SLF001 - our own base class
