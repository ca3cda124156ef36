"""A relay in front of a real server: it writes down what a client sends, and can stand in the way of TLS.

Taking the server's offer away is what an attacker between the two would do to read the login.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from databot.connectors.sql.address import parse_address

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""What a PostgreSQL client asks before anything else, when it wants TLS."""
HELLO = b"\x16\x03\x01"
"""How a client begins a TLS handshake."""
ALERT = b"\x15\x03\x03\x00\x02\x02\x28"
"""A fatal handshake_failure."""


@dataclass(slots=True, kw_only=True)
class Front:
    """`sent` holds what clients sent, one entry a connection.

    Without `offers` the server seems to know no TLS; `mute` agrees to it and then says nothing; `refuses` answers every
    client's handshake with an alert.
    """

    host: str
    port: int
    engine: str
    offers: bool
    mute: bool
    refuses: bool
    at: int = 0
    sent: list[bytearray] = field(default_factory=list[bytearray])

    async def relay(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self.sent.append(heard)
        server, forth = await asyncio.open_connection(self.host, self.port)
        try:
            if not self.offers:
                await self._take_away(client, back, server, heard)
            if self.mute:
                await self._fall_silent(client, back, server)
            async with asyncio.TaskGroup() as both:
                both.create_task(pump(client, forth, heard, back if self.refuses else None))
                both.create_task(pump(server, back, bytearray()))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass  # one side hung up
        finally:
            for writer in (forth, back):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _take_away(
        self,
        client: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        heard: bytearray,
    ) -> None:
        if self.engine == "postgres":
            heard += await client.readexactly(8)
            assert heard == SSL_REQUEST
            back.write(b"N")
            return
        size = await server.readexactly(4)
        greeting = bytearray(await server.readexactly(int.from_bytes(size[:3], "little")))
        flags = greeting.index(0, 1) + 1 + 4 + 8 + 1  # after version, thread, salt, filler
        greeting[flags + 1] &= ~0x08  # CLIENT_SSL is 0x0800
        back.write(size + greeting)

    async def _fall_silent(
        self,
        client: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        server: asyncio.StreamReader,
    ) -> None:
        back.write(b"S" if self.engine == "postgres" else await server.read(65536))
        while await client.read(65536):
            pass


async def pump(
    source: asyncio.StreamReader,
    sink: asyncio.StreamWriter,
    heard: bytearray,
    refusing: asyncio.StreamWriter | None = None,
) -> None:
    while data := await source.read(65536):
        heard += data
        if refusing and HELLO in data:
            refusing.write(ALERT)
            break
        sink.write(data)
        await sink.drain()
    sink.close()


@asynccontextmanager
async def front_of(
    url: str, *, offers: bool = True, mute: bool = False, refuses: bool = False
) -> AsyncGenerator[Front]:
    """A relay to the server of `url`, listening on its own port (`at`)."""
    address = parse_address(url)
    assert address.port
    front = Front(
        host=address.host,
        port=address.port,
        engine=address.engine,
        offers=offers,
        mute=mute,
        refuses=refuses,
    )
    server = await asyncio.start_server(front.relay, "127.0.0.1", 0)
    front.at = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
