"""A headless Chromium, driven over its DevTools protocol: enough to look at a page and to act on it."""

import asyncio
import base64
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)
BOUND_S = 60.0


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0
        self.requests: list[str] = []
        self.troubles: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - the protocol's own
        """One command; events that arrive meanwhile are kept."""
        self._calls += 1
        await self._socket.send_json({"id": self._calls, "method": method, "params": params})
        async with asyncio.timeout(BOUND_S):
            async for frame in self._socket:
                message = orjson.loads(frame.data)
                if message.get("id") == self._calls:
                    assert "error" not in message, message
                    return message["result"]
                self._note(message.get("method", ""), message.get("params", {}))
        raise ConnectionError("the browser left")

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in {"Page.javascriptDialogOpening", "Runtime.exceptionThrown"}:
            self.troubles.append(f"{method}: {params}")
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.troubles.append(params["entry"]["text"])

    async def open(
        self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False
    ) -> None:
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """The value of an expression; a promise is awaited."""
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until the page itself says so."""
        poll = (
            "new Promise((done, late) => { const end = performance.now() + 20000; const look = () => "
            f"({condition}) ? done(true) : performance.now() > end ? late(new Error('never')) : "
            "setTimeout(look, 20); look(); })"
        )
        await self.run(poll)

    async def ask(self, text: str) -> None:
        """Type a message and send it."""
        await self.run(
            f"(document.getElementById('message').value = {orjson.dumps(text).decode()}, "
            "document.getElementById('composer').requestSubmit())"
        )

    async def screenshot(self) -> bytes:
        """What is seen now, as PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


@asynccontextmanager
async def browsing(profile: Path) -> AsyncGenerator[Page]:
    """A fresh browser with one tab."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with AsyncExitStack() as stack, asyncio.timeout(BOUND_S):
            port = await _port(process)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            async with http.get(f"http://127.0.0.1:{port}/json") as response:
                tabs = orjson.loads(await response.read())
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            socket = await stack.enter_async_context(http.ws_connect(address, max_msg_size=0))
            yield Page(socket)
    finally:
        process.kill()
        await process.communicate()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    async for line in process.stderr:
        if b"DevTools listening on" in line:
            return int(line.split(b":")[2].split(b"/")[0])
    raise ConnectionError("the browser did not start")
