"""What the LiteLLM provider does beyond the contract all providers share."""

import asyncio
import gzip
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest

from databot.providers.errors import Place, ToolsUnsupported
from databot.providers.litellm import LiteLLMProvider, takes_tools
from databot.providers.litellm_errors import translate_litellm
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Raw
from databot.types.chat import ChatMessage, ChatRequest, ToolSpec
from databot.types.errors import (
    ContextOverflow,
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    UnknownModel,
)

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the:DeprecationWarning")

QUIET = """
import asyncio, sys
from databot.providers.litellm import LiteLLMProvider
from databot.testing.model_faults import server_error
from databot.testing.model_server import ModelServer
from databot.testing.model_wire import Say
from databot.types.chat import ChatMessage, ChatRequest, ToolSpec
from databot.types.errors import ProviderError

async def main() -> None:
    question = ChatRequest(
        model="openai/test-model",
        messages=(ChatMessage(role="user", content="Hello?"),),
        tools=(ToolSpec(name="sql", description="x", parameters={"type": "object"}),),
    )
    async with ModelServer() as server:
        server.script(Say(text="a"), Say(text="b c"), server_error(500))
        async with LiteLLMProvider(api_base=server.url, api_key="k") as provider:
            await asyncio.to_thread(provider.warm)
            await provider.chat(question)
            async for _ in provider.chat_stream(question):
                pass
            for model in ("openai/test-model", "nobody/knows"):
                try:
                    await provider.chat(ChatRequest(model=model, messages=question.messages))
                except ProviderError:
                    continue
                sys.exit("no error")

assert "litellm" not in sys.modules
asyncio.run(main())
"""


def test_it_prints_nothing_and_leaves_nothing_open() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default::ResourceWarning", "-c", QUIET],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("LLM Provider NOT provided. You passed model=nobody/knows"), UnknownModel),
        (ValueError("Missing Gemini API key. Set GEMINI_API_KEY"), ProviderAuthFailed),
        (ModuleNotFoundError("No module named 'boto3'"), ProviderBadResponse),
    ],
)
def test_what_litellm_says_in_words_is_understood(
    error: Exception, expected: type[Exception]
) -> None:
    assert type(translate_litellm(error, Place(host="v", model="m"), 1.0)) is expected


class Wrapped(Exception):
    """An error as LiteLLM raises them: with a status, headers and what led to it."""

    def __init__(self, text: str, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status_code = status
        self.litellm_response_headers = headers or {}


def named(name: str) -> Exception:
    return type(name, (Exception,), {})("…")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("JSONDecodeError", ProviderBadResponse),
        ("ConnectError", ProviderUnreachable),
        ("ConnectTimeout", ProviderUnreachable),
        ("ReadTimeout", ProviderTimeout),
        ("ReadError", ProviderUnreachable),
        ("ContextWindowExceededError", ContextOverflow),
    ],
)
def test_what_really_happened_is_found_behind_litellms_500(
    cause: str, expected: type[Exception]
) -> None:
    error = Wrapped("InternalServerError: Connection error.", 500)
    error.__cause__ = Wrapped("wrapped", 500)
    error.__cause__.__context__ = named(cause)
    assert type(translate_litellm(error, Place(host="v", model="m"), 1.0)) is expected


def test_a_vendors_headers_are_read_whatever_their_case() -> None:
    error = Wrapped("RateLimitError", 429, {"Retry-After": "9"})
    translated = translate_litellm(error, Place(host="v", model="m"), 1.0)
    assert isinstance(translated, ProviderRateLimited)
    assert translated.retry_after_s == 9


def test_an_error_that_leads_to_itself_is_read_once() -> None:
    error = Wrapped("odd", 503)
    error.__context__ = named("Other")
    error.__context__.__context__ = error
    assert type(translate_litellm(error, Place(host="v", model="m"), 1.0)) is ProviderUnavailable


NEVER_SENT = "anthropic/claude-haiku-4-5"
HELLO = ChatRequest(model=NEVER_SENT, messages=(ChatMessage(role="user", content="Hello?"),))


async def test_a_model_that_litellm_knows_takes_no_tools_is_not_asked_in_vain() -> None:
    tool = ToolSpec(name="sql", description="x", parameters={"type": "object"})
    async with LiteLLMProvider(api_base="http://127.0.0.1:9", api_key="k") as provider:
        with pytest.raises(ToolsUnsupported):
            await provider.chat(replace(HELLO, model="perplexity/sonar", tools=(tool,)))
        assert takes_tools("nobody/knows")


async def test_a_stream_longer_than_any_answer_is_dropped() -> None:
    token = b'data: {"choices":[{"index":0,"delta":{"content":"%d %s"}}]}\n\n'
    tokens = b"".join(token % (number, b"x" * 900_000) for number in range(12))
    async with asyncio.timeout(60), ModelServer() as server:
        server.script(Raw(body=tokens, content_type="text/event-stream"))
        async with LiteLLMProvider(api_base=server.url, api_key="k") as provider:
            with pytest.raises(ProviderBadResponse, match="more than 8 MB"):
                async for _ in provider.chat_stream(replace(HELLO, model="openai/test-model")):
                    pass


async def test_an_answer_without_a_choice_is_none() -> None:
    body = b'{"id": "1", "candidates": [], "usageMetadata": {"promptTokenCount": 1}}'
    async with asyncio.timeout(60), ModelServer(any_path=True) as server:
        server.script(Raw(body=body))
        async with LiteLLMProvider(api_base=server.origin, api_key="k") as provider:
            with pytest.raises(ProviderBadResponse):
                await provider.chat(replace(HELLO, model="gemini/gemini-2.5-flash"))


async def test_without_a_key_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    async with LiteLLMProvider() as provider:
        with pytest.raises(ProviderAuthFailed) as caught:
            await provider.chat(HELLO)
    assert caught.value.hint


MISSING = """
import sys
sys.modules["litellm"] = None
from databot.providers.litellm import LiteLLMProvider
from databot.types.errors import MissingExtra
try:
    LiteLLMProvider().warm()
except MissingExtra as error:
    assert "databot-daemon[" in error.hint
else:
    sys.exit("no error")
"""


def test_without_litellm_it_says_what_to_install() -> None:
    subprocess.run([sys.executable, "-c", MISSING], check=True, timeout=60)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate"])
def test_a_body_is_inflated_in_pieces_however_it_arrives(encoding: str) -> None:
    from databot.providers.litellm_http import PIECE_BYTES, Inflater

    said = b"Twelve orders. " * 50_000
    packed = zlib.compress(said) if encoding == "deflate" else gzip.compress(said)
    for step in (1, 7, len(packed)):
        inflater = Inflater(encoding)
        pieces = [
            piece
            for at in range(0, len(packed), step)
            for piece in inflater.feed(packed[at : at + step])
        ]
        assert b"".join(pieces) == said
        assert max(map(len, pieces)) <= PIECE_BYTES


def test_the_bounds_of_a_body_follow_from_what_was_asked_and_what_came() -> None:
    from databot.providers.litellm_http import WHOLE, bounds_of

    assert bounds_of("text/event-stream", whole=True) == WHOLE
    assert bounds_of("application/json", whole=False) == WHOLE
    events = bounds_of("text/event-stream; charset=utf-8", whole=False)
    frames = bounds_of("application/vnd.amazon.eventstream", whole=False)
    assert WHOLE.total < events.total == frames.total == frames.line
    assert events.line < WHOLE.line
