"""Looking for models that are already running: Ollama on this machine, or whatever serves `llm.api_base`.

Each look is short, bounded, and finds nothing rather than fail.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from yarl import URL

OLLAMA_URL = "http://127.0.0.1:11434"
MAX_BODY = 4 * 1024 * 1024
NOT_CHAT = ("embed", "bge-", "minilm", "rerank", "whisper", "tts", "clip")


async def ollama_models(url: str = OLLAMA_URL, *, timeout_s: float = 0.3) -> tuple[str, ...]:
    """Names of the chat models installed in an Ollama, in its order: the one changed last comes first."""
    body = await get_json(URL(url) / "api/tags", {}, timeout_s)
    return chat_models(body.get("models"), "name")


async def served_models(
    api_base: str, api_key: str = "", *, timeout_s: float = 3.0
) -> tuple[str, ...]:
    """Names of the chat models an OpenAI-compatible server lists."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    body = await get_json(URL(api_base.rstrip("/")) / "models", headers, timeout_s)
    return chat_models(body.get("data"), "id")


def chat_models(listed: object, field: str) -> tuple[str, ...]:
    if not isinstance(listed, list):
        return ()
    names = [str(entry[field]) for entry in listed if isinstance(entry, dict) and entry.get(field)]
    return tuple(name for name in names if not any(part in name.lower() for part in NOT_CHAT))


async def get_json(url: URL, headers: Mapping[str, str], timeout_s: float) -> Mapping[str, Any]:
    """The JSON object at `url`; empty when there is none, in time or at all."""
    import aiohttp

    from databot.providers.connection import read_up_to

    timeout = aiohttp.ClientTimeout(total=timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return {}
            listed = await read_up_to(response.content, MAX_BODY)
            body = orjson.loads(listed) if len(listed) <= MAX_BODY else {}
    except (aiohttp.ClientError, OSError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
