"""How connections to MySQL and MariaDB are opened and ended: encrypted as the URL says, one statement at a time.

A side connection kills the thread of a statement that was cut short; it is encrypted like the one it ends.
"""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from databot.connectors.sql.driver import CONNECT_TIMEOUT_S, Target
from databot.connectors.sql.drivers.mysql_errors import translate
from databot.connectors.sql.problems import unreachable
from databot.connectors.sql.tls import context_of, tls_of_address
from databot.types.errors import ConnectorError
from databot.types.tls import Tls
from databot.types.tls_trouble import trouble_of

if TYPE_CHECKING:
    import ssl

HANG_UP_S = 5.0
COM_SET_OPTION = 0x1B
MULTI_STATEMENTS_OFF = b"\x01\x00"


class Session:
    """One connection with what is needed to end its work: asyncmy's own class, typed by what we use."""

    def __init__(self, connection: Any, context: "ssl.SSLContext | None") -> None:  # noqa: ANN401 - asyncmy.Connection has no complete types
        self.connection = connection
        self.context = context
        self.thread: int = connection.server_thread_id[0]
        self.mariadb = "mariadb" in str(connection.server_version).lower()
        self.unread = False
        """A result was left before its end; only killing the thread frees the wire."""


class MysqlDialer:
    """Opens read-only sessions that take one statement at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        default = Tls(mode="disable" if on_socket(target) else "prefer")
        self._tls = tls_of_address(target.address) or default

    async def connect(self) -> Session:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._open()
        except TimeoutError as error:
            reason = f"no answer within {CONNECT_TIMEOUT_S:g} s"
            raise unreachable(self._target, reason) from error
        except vendor_errors() as error:
            raise translate(self._target, error) from error

    async def _open(self) -> Session:
        connection, context = await self._connection()
        ready = False
        try:
            await forbid_several_statements(connection)
            ready = True
        finally:
            if not ready:
                connection.close()
        return Session(connection, context)

    async def _connection(self) -> "tuple[Any, ssl.SSLContext | None]":
        """A connection, and the context it was made with; only `prefer` goes on without where TLS fails."""
        if self._tls.mode == "disable":
            return await self._dial(None), None
        context = await context_of(self._target, self._tls)
        try:
            return await self._dial(context), context
        except vendor_errors() as error:
            if self._tls.mode != "prefer" or trouble_of(error) is None:
                raise
        return await self._dial(None), None

    async def _dial(self, context: "ssl.SSLContext | None") -> Any:  # noqa: ANN401 - asyncmy.Connection has no complete types
        from databot.connectors.sql.drivers.mysql_wire import Wire

        address = self._target.address
        password = (address.password or "").encode()  # as text, all but Latin-1 would be refused
        connection = Wire(
            optional_tls=self._tls.mode == "prefer",
            host=address.host or "localhost",
            port=address.port or 3306,
            user=address.user or "",
            password=password,
            database=address.database or None,
            unix_socket=address.options.get("unix_socket"),
            ssl=context,
            charset="utf8mb4",
            program_name="databot",
            connect_timeout=CONNECT_TIMEOUT_S,
            autocommit=True,  # our own looks at the catalog must not keep a snapshot open
            conv=converters(),
        )
        await connection.connect()
        return connection

    def usable(self, connection: Session) -> bool:
        return bool(connection.connection.connected) and not connection.unread

    async def hang_up(self, connection: Session, *, working: bool) -> None:
        if working or connection.unread:
            await self._kill(connection)
        try:
            async with asyncio.timeout(HANG_UP_S):
                if not connection.unread and not working:
                    await connection.connection.ensure_closed()
        except (TimeoutError, *vendor_errors()):
            pass  # closed below in any case
        finally:
            connection.connection.close()

    async def _kill(self, session: Session) -> None:
        """End the thread on the server from a side connection; a statement that was about to begin dies with it."""
        try:
            async with asyncio.timeout(HANG_UP_S):
                side = await self._dial(session.context)
                try:
                    await side.query(f"KILL {session.thread}")
                finally:
                    side.close()
        except (TimeoutError, ConnectorError, *vendor_errors()):
            pass  # the server is gone, or the thread is: either way nothing runs for us any more


def on_socket(target: Target) -> bool:
    """Whether a socket of this machine is spoken to."""
    return "unix_socket" in target.address.options


async def forbid_several_statements(connection: Any) -> None:  # noqa: ANN401 - asyncmy.Connection has no complete types
    """Take back the multi-statements that asyncmy asks for when it logs in."""
    await connection._execute_command(COM_SET_OPTION, MULTI_STATEMENTS_OFF)  # noqa: SLF001 - there is no public door
    await connection.read_packet()


def vendor_errors() -> tuple[type[Exception], ...]:
    """What asyncmy raises: its own tree, the socket's errors, and text that is not what it says."""
    return import_module("asyncmy.errors").MySQLError, OSError, ValueError, OverflowError


def converters() -> dict[Any, Any]:
    """asyncmy's, but TIME stays text (it may pass 24 hours) and BIT becomes a number."""
    kinds = import_module("asyncmy.constants.FIELD_TYPE")
    chosen = dict(import_module("asyncmy.converters").conversions)
    chosen.pop(kinds.TIME, None)
    chosen[kinds.BIT] = lambda data: int.from_bytes(data, "big")
    return chosen
