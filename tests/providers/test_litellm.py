"""What the LiteLLM provider does beyond the contract all providers share."""

import subprocess
import sys

import pytest

from databot.providers.errors import Place
from databot.providers.litellm_errors import translate_litellm
from databot.types.errors import ProviderAuthFailed, ProviderBadResponse, UnknownModel

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
