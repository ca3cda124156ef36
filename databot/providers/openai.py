"""The native provider: any server that speaks OpenAI's chat protocol, over one aiohttp session.

It costs a fraction of LiteLLM for each call and each token. It repeats nothing but a call whose parameter the server
refused by name; retries and fallbacks wrap it (`resilient`). The protocol is in `wire`, reading in `reading`, the
errors in `errors` and `connection`.
"""

import asyncio
from functools import lru_cache

import aiohttp
from yarl import URL

from databot.providers.address import parsed_base
from databot.providers.base import LLMProvider
from databot.providers.connection import broken_connection, read_beginning
from databot.providers.errors import Place, read_complaint, refused_parameter, translate
from databot.providers.pricing import cost_usd, loaded, prices
from databot.providers.reading import AnswerStream, read_whole
from databot.providers.streams import ChunkStream
from databot.providers.wire import ADJUSTABLE, Assembler, request_body
from databot.types.chat import ChatReply, ChatRequest, TextChunk, Usage

OPENAI_BASE = "https://api.openai.com/v1"
WEB_OR_JSON = frozenset({"application/json", "text/html"})


class OpenAIProvider(LLMProvider):
    """Models behind `api_base`, such as `https://api.openai.com/v1` or `http://127.0.0.1:8000/v1`.

    `name` is the vendor's, as LiteLLM spells it (`groq`, `openai` …): it is shown to people and finds the prices; by
    default it is the host. `max_connections` bounds the calls open at one time; more of them wait.
    `request.timeout_s` bounds a whole `chat`; of a stream, the wait for the first and for each further event.

    Raises:
        ConfigError: `api_base` is not an http(s) URL.
    """

    def __init__(
        self,
        *,
        api_base: str | None = None,
        api_key: str = "",
        name: str = "",
        connect_timeout_s: float = 10.0,
        max_connections: int = 1_024,
        proxy: str | None = None,
    ) -> None:
        base = parsed_base(api_base or OPENAI_BASE)
        self._host = base.host_port_subcomponent or ""
        self.name = name or self._host
        self._url = base / "chat/completions"
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "databot",
        }
        self._key = api_key
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._connect_timeout_s = connect_timeout_s
        self._max_connections = max_connections
        self._proxy, self._proxy_headers = split_proxy(proxy)
        if base.scheme == "http":  # no tunnel: the proxy reads the request itself
            self._headers.update(self._proxy_headers)
        self._session: aiohttp.ClientSession | None = None
        # What servers refused, by model. OpenAI itself wants the new name of the limit.
        self._preset = frozenset({"max_tokens"} if base.host == "api.openai.com" else ())
        self._refused: dict[str, frozenset[str]] = {}

    async def chat(self, request: ChatRequest) -> ChatReply:
        response = await self._open(request, stream=False)
        try:
            answer = await read_whole(response, self._place(request))
        except (aiohttp.ClientError, OSError) as error:
            raise broken_connection(error, self._place(request), request.timeout_s) from error
        finally:
            response.close()
        return await self._reply(answer, request)

    async def chat_stream(self, request: ChatRequest) -> ChunkStream:
        response = await self._open(request, stream=True)
        try:
            if response.content_type in WEB_OR_JSON:
                async with asyncio.timeout(request.timeout_s):
                    answer = await read_whole(response, self._place(request))
                if answer.text:
                    yield TextChunk(answer.text)
            else:
                stream = AnswerStream(response, self._place(request), request.timeout_s)
                while (text := await stream.next_text()) is not None:
                    yield TextChunk(text)
                answer = stream.assembler
        except (aiohttp.ClientError, OSError) as error:
            raise broken_connection(error, self._place(request), request.timeout_s) from error
        finally:
            response.close()
        yield await self._reply(answer, request)

    def warm(self) -> None:
        prices()

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(self, request: ChatRequest, *, stream: bool) -> aiohttp.ClientResponse:
        """A response with status 200; a call is repeated without a parameter that the server refused by name."""
        place = self._place(request)
        while True:
            refused = self._refused.get(request.model, self._preset)
            response = await self._send(request, stream=stream, refused=refused)
            if response.status == 200:
                return response
            try:
                body = await read_beginning(response.content)
            except (aiohttp.ClientError, OSError) as error:
                raise broken_connection(error, place, request.timeout_s) from error
            finally:
                response.close()
            complaint = read_complaint(response.status, body)
            parameter = refused_parameter(complaint, ADJUSTABLE - refused)
            if parameter is None:
                error = translate(complaint, place, response.headers)
                raise error from complaint.cause(place.key)
            self._refused[request.model] = refused | {parameter}

    async def _send(
        self, request: ChatRequest, *, stream: bool, refused: frozenset[str]
    ) -> aiohttp.ClientResponse:
        total_s = None if stream else request.timeout_s
        body = request_body(request, stream=stream, refused=refused)
        try:
            # Headers that come a letter at a time are silence too; a free connection may be waited for as long.
            async with asyncio.timeout(2 * request.timeout_s):
                return await self._connected().post(
                    self._url,
                    data=body,
                    headers=self._headers,
                    timeout=limits(total_s, request.timeout_s, self._connect_timeout_s),
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                )
        except (aiohttp.ClientError, OSError) as error:
            raise broken_connection(error, self._place(request), request.timeout_s) from error

    async def _reply(self, answer: Assembler, request: ChatRequest) -> ChatReply:
        if not loaded():
            await asyncio.to_thread(prices)
        given, made = answer.tokens()
        cost = cost_usd(self.name, request.model, given, made)
        usage = Usage(input_tokens=given, output_tokens=made, cost_usd=cost)
        return answer.reply(request.model, usage)

    def _place(self, request: ChatRequest) -> Place:
        return Place(host=self._host, model=request.model, key=self._key)

    def _connected(self) -> aiohttp.ClientSession:
        """The one session; made here because it belongs to the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._max_connections)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def split_proxy(proxy: str | None) -> tuple[URL | None, dict[str, str]]:
    """A proxy's address, and the header that says who we are to it: aiohttp repeats the address in its errors."""
    if not proxy:
        return None, {}
    url = URL(proxy)
    if url.user is None:
        return url, {}
    told = aiohttp.encode_basic_auth(url.user, url.password or "")
    return url.with_user(None), {"Proxy-Authorization": told}


@lru_cache(maxsize=64)
def limits(total_s: float | None, read_s: float, connect_s: float) -> aiohttp.ClientTimeout:
    """The timeouts of one call, in seconds; waiting for a free connection counts as waiting for the answer."""
    return aiohttp.ClientTimeout(
        total=total_s, connect=read_s, sock_connect=connect_s, sock_read=read_s
    )
