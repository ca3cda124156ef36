"""Addresses behind proxies and origins, compared exactly."""

import pytest

from databot.gateway.origins import Origins, Proxies, normal_origin

PEER = "10.0.0.9"
SHAPES = [
    ([], PEER),
    (["198.51.100.7"], "198.51.100.7"),
    (["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
    (["203.0.113.5", "198.51.100.7"], "198.51.100.7"),
    (["198.51.100.7, 10.0.0.3"], "198.51.100.7"),
    (["203.0.113.5, 198.51.100.7, 10.0.0.3, 10.0.0.4"], "198.51.100.7"),
    (["10.0.0.3"], "10.0.0.3"),
    (["198.51.100.7:4711"], "198.51.100.7"),
    (["[2001:db8::1]:4711"], "2001:db8::1"),
    (["2001:db8::1"], "2001:db8::1"),
    (["unknown"], PEER),
    (["203.0.113.5, <script>"], PEER),
    ([""], PEER),
    (["203.0.113.5,"], PEER),
]


@pytest.mark.parametrize(("forwarded", "expected"), SHAPES)
def test_the_caller_is_the_right_most_hop_that_is_not_our_proxy(
    forwarded: list[str], expected: str
) -> None:
    assert Proxies(["10.0.0.0/8"]).client(PEER, forwarded) == expected


@pytest.mark.parametrize(("forwarded", "_"), SHAPES)
@pytest.mark.parametrize("trusted", [[], ["192.0.2.0/24"]])
def test_a_peer_that_is_no_trusted_proxy_is_the_caller_whatever_it_says(
    forwarded: list[str], _: str, trusted: list[str]
) -> None:
    assert Proxies(trusted).client(PEER, forwarded) == PEER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://App.Example:443", "https://app.example"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:8080", "http://a.example:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("null", None),
        ("", None),
        ("https://", None),
        ("https://a.example/path", None),
        ("https://a.example?x", None),
        ("https://u@a.example", None),
        ("https://a.example:port", None),
        ("https://a.example:99999", None),
        ("ftp://a.example", None),
        ("http://[::1", None),
    ],
)
def test_an_origin_has_one_spelling_or_is_none(text: str, expected: str | None) -> None:
    assert normal_origin(text) == expected


def test_the_public_url_is_this_service_too() -> None:
    origins = Origins([], "https://bot.example/base")
    assert origins.same("https://bot.example", "http", "127.0.0.1:18790")
    assert not origins.same("https://bot.example.evil", "http", "127.0.0.1:18790")
    assert origins.local_host("bot.example")
    assert not origins.local_host("evil.example")
