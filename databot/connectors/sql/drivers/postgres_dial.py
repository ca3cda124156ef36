"""How connections to PostgreSQL are opened and ended: encrypted as the URL says, the session read-only from its start."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from databot.connectors.sql.driver import CONNECT_TIMEOUT_S, Target
from databot.connectors.sql.drivers.postgres_errors import translate
from databot.connectors.sql.problems import unreachable
from databot.connectors.sql.tls import SPELLINGS, context_of, tls_of_address
from databot.types.tls import OPTIONS as TLS_OPTIONS

if TYPE_CHECKING:
    import ssl

    import asyncpg

HANG_UP_S = 5.0
LOCK_TIMEOUT_MS = 5000
IDLE_TIMEOUT_MS = 60_000
SAID_APART = {*TLS_OPTIONS, *SPELLINGS, "search_path", "timezone"}
"""Options that do not reach asyncpg as a part of its URL."""
ALPN = "postgresql"
"""What a server wants to hear when TLS begins without asking first (`sslnegotiation=direct`)."""


class PostgresDialer:
    """Opens read-only sessions."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._tls = tls_of_address(target.address)

    async def connect(self) -> "asyncpg.Connection":
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._open()
        except TimeoutError as error:
            reason = f"no answer within {CONNECT_TIMEOUT_S:g} s"
            raise unreachable(self._target, reason) from error
        except vendor_errors() as error:
            raise translate(self._target, error) from error

    async def _open(self) -> "asyncpg.Connection":
        import asyncpg

        address = self._target.address
        connection = await asyncpg.connect(
            dsn_without_login(self._target),
            user=address.user,
            password=address.password,
            ssl=await self._encryption(),
            timeout=CONNECT_TIMEOUT_S,
            statement_cache_size=0,  # a transaction pooler may stand between
            server_settings=session_settings(self._target),
        )
        await prepare_session(connection)
        return connection

    async def _encryption(self) -> "ssl.SSLContext | str | None":
        """What asyncpg is told: with a context it encrypts or fails; its cancel requests go the same way.

        Where the URL says nothing it decides itself: by PGSSLMODE, else it prefers TLS.
        """
        if self._tls is None or self._tls.mode in ("disable", "prefer"):
            return self._tls and self._tls.mode
        context = await context_of(self._target, self._tls)
        context.set_alpn_protocols([ALPN])
        return context

    def usable(self, connection: "asyncpg.Connection") -> bool:
        return not connection.is_closed() and not connection.is_in_transaction()

    async def hang_up(self, connection: "asyncpg.Connection", *, working: bool) -> None:
        """A CancelRequest is on its way when `working`; closing waits for its effect, within a bound."""
        try:
            await connection.close(timeout=HANG_UP_S if working else 1.0)
        except vendor_errors():
            connection.terminate()


async def prepare_session(connection: "asyncpg.Connection") -> None:
    """Read intervals as text: a timedelta has no months. A connection that cannot be prepared is cut."""
    ready = False
    try:
        await connection.set_type_codec(
            "interval", schema="pg_catalog", encoder=str, decoder=str, format="text"
        )
        ready = True
    finally:
        if not ready:
            connection.terminate()


def vendor_errors() -> tuple[type[BaseException], ...]:
    """What asyncpg raises: its own tree, the socket's errors, and values Python cannot hold."""
    asyncpg = import_module("asyncpg")
    return (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
        ValueError,
        OverflowError,
    )


def dsn_without_login(target: Target) -> str:
    """The URL without user and password, which are passed apart so that no message can repeat them."""
    address = target.address
    kept = {key: value for key, value in address.options.items() if key not in SAID_APART}
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    if port and not host:
        # Beside a socket's folder asyncpg would take it for a host without a name.
        kept["port"], port = port[1:], ""
    return f"postgresql://{host}{port}/{address.database}?{urlencode(kept)}"


def on_socket(target: Target) -> bool:
    """Whether a socket of this machine is spoken to, where PostgreSQL knows no TLS."""
    host = target.address.options.get("host") or target.address.host
    return host.startswith("/")


def session_settings(target: Target) -> dict[str, str]:
    """What the session begins with. `standard_conforming_strings` keeps the guard's reading of quotes right."""
    chosen = {
        "application_name": "databot",
        "standard_conforming_strings": "on",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
    }
    if target.read_only:
        chosen["default_transaction_read_only"] = "on"
    for key, setting in (("search_path", "search_path"), ("timezone", "TimeZone")):
        if key in target.address.options:
            chosen[setting] = target.address.options[key]
    return chosen
