"""The ways model servers fail, as answers for the scripted model server.

Bodies are shaped like those of the vendors named. Each function gives an answer for `ModelServer.script`.
"""

import gzip
from collections.abc import Mapping
from typing import Any

import orjson

from databot.testing.model_wire import Answer, Answerer, Raw, Say

PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body>It works!</body></html>"


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Raw:
    """Any error in OpenAI's shape."""
    body = {"error": {"message": message, "type": "error", "param": param, "code": code}}
    return Raw(status=status, body=orjson.dumps(body), headers=headers)


def rate_limited(retry_after: str | None = None) -> Raw:
    """429; `retry_after` is the header as sent: seconds or an HTTP date."""
    headers = () if retry_after is None else (("Retry-After", retry_after),)
    return error(429, "Rate limit reached", code="rate_limit_exceeded", headers=headers)


def server_error(status: int = 500) -> Raw:
    return error(status, "The server had an error while processing your request")


def wrong_key() -> Raw:
    return error(401, "Incorrect API key provided: sk-wrong***", code="invalid_api_key")


def unknown_model(model: str = "no-such-model") -> Raw:
    return error(404, f"The model `{model}` does not exist", code="model_not_found")


def context_overflow() -> Raw:
    message = "This model's maximum context length is 8192 tokens, your messages have 9001 tokens."
    return error(400, message, code="context_length_exceeded", param="messages")


def web_page(status: int = 200) -> Raw:
    return Raw(status=status, body=PAGE, content_type="text/html")


def empty_choices() -> Raw:
    body = orjson.dumps({"id": "x", "object": "chat.completion", "model": "m", "choices": []})
    return Raw(body=body, stream_body=b"data: " + body + b"\n\ndata: [DONE]\n\n")


def malformed_json() -> Raw:
    broken = b'{"id": "x", "choices": [{"message": {"content": "Hel'
    return Raw(body=broken, stream_body=b"data: " + broken + b"\n\ndata: [DONE]\n\n")


def invalid_utf8() -> Raw:
    broken = b'{"id": "x", "choices": [{"index": 0, "%s": {"content": "caf\xe9"}}]}'
    return Raw(
        body=broken.replace(b"%s", b"message"),
        stream_body=b"data: " + broken.replace(b"%s", b"delta") + b"\n\ndata: [DONE]\n\n",
    )


def error_in_stream(message: str = "Provider returned error", code: int = 502) -> Raw:
    """200, some text, then an error as OpenRouter and vLLM send it; as plain JSON when no stream was asked."""
    body = orjson.dumps({"error": {"message": message, "code": code}})
    start = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    return Raw(body=body, stream_body=start + b"data: " + body + b"\n\n")


def huge_token(size: int = 20_000_000) -> Raw:
    """One token of `size` bytes."""
    said = b'{"role":"assistant","content":"' + b"x" * size + b'"}'
    choice = b'{"choices":[{"index":0,"%s":' + said + b"}]}"
    return Raw(
        body=choice.replace(b"%s", b"message", 1),
        stream_body=b"data: " + choice.replace(b"%s", b"delta", 1) + b"\n\ndata: [DONE]\n\n",
    )


def repeats(words: str, *, status: int = 400, size: int = 10_000_000) -> Raw:
    """An error of `size` bytes that says the same words again and again, as some repeat what they were sent."""
    return error(status, (words * (size // len(words) + 1))[:size])


def endless(status: int = 200, *, drip_s: float = 0.0) -> Raw:
    """A JSON body that never ends: as fast as it is read or, with `drip_s`, a letter at a time."""
    start = b'{"choices":[{"message":{"content":"' if status == 200 else b'{"error":{"message":"no '
    return Raw(
        status=status, body=start, forever=b"again" if drip_s else b"again " * 10_000, drip_s=drip_s
    )


def endless_line() -> Raw:
    """A stream whose one event never ends."""
    start = b'data: {"choices":[{"index":0,"delta":{"content":"'
    return Raw(body=start, stream_body=start, forever=b"again " * 10_000)


def bomb(status: int = 200, *, size: int = 10_000_000, encoding: str = "gzip") -> Raw:
    """Zeros, a thousandth of their size on the wire; `encoding` is what the header says of them."""
    return Raw(
        status=status,
        body=gzip.compress(b"0" * size, mtime=0),
        headers=(("Content-Encoding", encoding),),
    )


def redirect(to: str, status: int = 307) -> Raw:
    return Raw(status=status, headers=(("Location", to),))


def never_answers() -> Say:
    """Accepts the request and says nothing until the server is released or closed."""
    return Say(hold_after=0)


def refuses(parameter: str, otherwise: Answer) -> Answerer:
    """400 for a request that has `parameter`, as strict servers do; else `otherwise`."""

    def answer(body: Mapping[str, Any]) -> Answer:
        if parameter not in body:
            return otherwise
        message = f"Unsupported parameter: '{parameter}' is not supported with this model."
        return error(400, message, code="unsupported_parameter", param=parameter)

    return answer


def refuses_tools(otherwise: Answer) -> Answerer:
    """400 for a request with tools, in the words of Ollama; else `otherwise`."""

    def answer(body: Mapping[str, Any]) -> Answer:
        if not body.get("tools"):
            return otherwise
        return error(400, f"registry.ollama.ai/library/{body['model']} does not support tools")

    return answer
