"""What the LiteLLM provider does beyond the contract all providers share."""

import subprocess
import sys

import pytest

from databot.providers.errors import Place
from databot.providers.litellm_errors import translate_litellm
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
