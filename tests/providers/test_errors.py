"""What vendors say when they fail, translated."""

import pytest

from databot.providers.errors import (
    Complaint,
    Place,
    ToolsUnsupported,
    complaint_of,
    read_complaint,
    refused_parameter,
    translate,
    vendor_answer,
    wished_wait,
)
from databot.providers.wire import ADJUSTABLE
from databot.types.errors import (
    ContextOverflow,
    ProviderAuthFailed,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnavailable,
    UnknownModel,
    describe,
)

PLACE = Place(host="api.example.com", model="m-1")


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "This model's maximum context length is 8192 tokens", ContextOverflow),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", ContextOverflow),
        (400, "the request exceeds the available context size", ContextOverflow),
        (413, "Request too large", ContextOverflow),
        (404, "The model `m-1` does not exist or you do not have access to it", UnknownModel),
        (404, "model 'm-1' not found, try pulling it first", UnknownModel),
        (400, "m-1 is not a valid model ID", UnknownModel),
        (404, "No endpoints found that support tool use", ToolsUnsupported),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", ToolsUnsupported),
        (400, '"auto" tool choice requires --enable-auto-tool-choice to be set', ToolsUnsupported),
        (400, "`tools` is not supported with this model", ToolsUnsupported),
        (400, "something else", ProviderBadResponse),
        (404, "Not Found", ProviderBadResponse),
        (307, "", ProviderBadResponse),
        (401, "Incorrect API key provided", ProviderAuthFailed),
        (403, "Country not supported", ProviderAuthFailed),
        (402, "Insufficient credits", ProviderRateLimited),
        (429, "Rate limit reached", ProviderRateLimited),
        (408, "", ProviderTimeout),
        (504, "", ProviderTimeout),
        (500, "", ProviderUnavailable),
        (529, "overloaded", ProviderUnavailable),
    ],
)
def test_every_refusal_has_its_class(
    status: int, message: str, expected: type[ProviderError]
) -> None:
    error = translate(Complaint(status=status, message=message), PLACE, {})
    assert type(error) is expected


def test_the_vendors_words_stay_out_of_what_people_read() -> None:
    complaint = Complaint(status=400, message="secret words of the vendor")
    line = describe(translate(complaint, PLACE, {}))
    assert "secret words" not in line
    assert "api.example.com" in line
    assert "secret words" in str(complaint.cause())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "a"}}', "a"),
        (b'{"error": "b"}', "b"),
        (b'[{"error": {"message": "c"}}]', "c"),
        (b'{"detail": "d"}', "d"),
        (b'{"object": "error", "message": "e"}', "e"),
        (b"plain words", ""),
        (b"7", ""),
    ],
)
def test_errors_are_read_in_every_shape_in_use(body: bytes, message: str) -> None:
    assert read_complaint(400, body).message == message


def test_a_long_complaint_is_cut_to_one_line() -> None:
    complaint = complaint_of(500, {"error": {"message": "x\n" * 1000}})
    assert len(str(complaint.cause())) < 320
    assert "\n" not in str(complaint.cause())


@pytest.mark.parametrize(
    ("complaint", "expected"),
    [
        (Complaint(status=400, message="Unsupported parameter", param="max_tokens"), "max_tokens"),
        (
            Complaint(
                status=400,
                message="Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
            ),
            "max_tokens",
        ),
        (
            Complaint(status=422, message="body.stream_options: Extra inputs are not permitted"),
            "stream_options",
        ),
        (
            Complaint(
                status=400, message="'temperature' does not support 0 with this model", param="x"
            ),
            "temperature",
        ),
        (Complaint(status=400, message="context length exceeded; reduce max_tokens"), None),
        (Complaint(status=400, message="max_tokens is too large"), None),
        (Complaint(status=400, message="unknown field 'reasoning'"), None),
        (Complaint(status=500, message="unsupported temperature"), None),
    ],
)
def test_a_refused_parameter_is_found_by_name(complaint: Complaint, expected: str | None) -> None:
    assert refused_parameter(complaint, ADJUSTABLE) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "soon"}, None),
        ({"retry-after-ms": "1500", "Retry-After": "7"}, 1.5),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            30,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
    ],
)
def test_the_wish_to_wait_is_read_as_seconds_or_as_a_date_of_the_same_clock(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert wished_wait(headers) == seconds


@pytest.mark.parametrize(
    "said",
    [
        "Authorization: Bearer SECRET-1.2/3=",
        "authorization: Basic SECRET",
        '{"x-api-key": "SECRET"}',
        "{'api_key': 'SECRET'}",
        "https://host/v1/models?key=SECRET&alt=sse",
        "https://user:SECRET@host/v1 is not reachable",
        "access_token=SECRET",
        'client_secret = "SECRET"',
        "Incorrect API key provided: sk-SECRET",
        "bearer SECRET",
    ],
)
def test_a_secret_is_known_by_its_name_or_its_shape(said: str) -> None:
    """LiteLLM reads keys from the environment that we are never told."""
    shown = str(vendor_answer(f"refused: {said} (see the documentation)"))
    assert "SECRET" not in shown
    assert "[key]" in shown
    assert shown.startswith("refused: ")


def test_a_key_as_long_as_any_is_hidden_wherever_it_is_cut() -> None:
    for length in (40, 900, 7_000, 20_000):
        assert "A" * 9 not in str(vendor_answer(f"Bearer {'A' * length} " * 9))
        assert "A" * 9 not in str(vendor_answer(f"no {'A' * length} " * 9, "A" * length))


def test_what_is_no_secret_stays_readable() -> None:
    said = "max_tokens: 2048 is too large; KeyError 'messages'; tokens=12; https://host/a@b"
    assert str(vendor_answer(said)) == said


def test_an_error_that_was_cut_is_still_read() -> None:
    cut = (
        b'{"error": {"message": "maximum context length is 8192 tokens. You sent: ' + b"x" * 99_999
    )
    complaint = read_complaint(400, cut)
    assert complaint.is_json
    assert len(complaint.message) < 10_000
    assert type(translate(complaint, PLACE, {})) is ContextOverflow
