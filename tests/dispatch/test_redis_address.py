"""What a Redis URL says, and what it may not."""

import pytest

from databot.dispatch.base import TurnKey
from databot.dispatch.redis.address import redis_address
from databot.dispatch.redis.keys import Keys
from databot.types.errors import ConfigError


def test_a_bare_url_means_the_usual_place() -> None:
    address = redis_address("redis://")
    assert (address.host, address.port, address.database) == ("localhost", 6379, 0)
    assert (address.user, address.password, address.tls, address.namespace) == (
        None,
        None,
        None,
        "0",
    )


@pytest.mark.parametrize("written", ["p%40ss%2Fw%3Ard%3F", "p@ss/w:rd%3F"])
def test_a_password_may_hold_any_character(written: str) -> None:
    address = redis_address(f"redis://bot:{written}@cache.example.com:6380/3")
    assert (address.user, address.password) == ("bot", "p@ss/w:rd?")
    assert str(address) == "cache.example.com:6380/3"
    assert "p@ss" not in repr(address)


def test_an_ipv6_host_is_written_in_brackets() -> None:
    address = redis_address("redis://[::1]:7000/1")
    assert (address.host, address.port) == ("::1", 7000)
    assert str(address) == "[::1]:7000/1"


def test_a_namespace_parts_databots_in_one_database() -> None:
    assert redis_address("redis://h/2?namespace=team-a").namespace == "2.team-a"


def test_rediss_verifies_the_server_by_itself() -> None:
    tls = redis_address("rediss://h").tls
    assert tls
    assert tls.mode == "verify-full"
    weaker = redis_address("rediss://h?sslmode=require").tls
    assert weaker
    assert weaker.mode == "require"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:s3cret@h:port", "a port that is not a number"),
        ("redis://:s3cret@h:0", "a port that is not a number"),
        ("redis://:s3cret@h/name", "a database that is not a number"),
        ("redis://:s3cret@h/-1", "a database that is not a number"),
        ("redis://:s3cret@h?namespace=a b", "namespace"),
        ("redis://:s3cret@h?namespace=a&namespace=b", "twice"),
        ("redis://:s3cret@h?timeout=5", "unknown option"),
        ("redis://:s3cret@h?sslmode=require", "plain text"),
        ("rediss://:s3cret@h?sslmode=disable", "sslmode does not"),
        ("rediss://:s3cret@h?sslmode=prefer", "sslmode does not"),
        ("rediss://:s3cret@h?sslmode=odd", "unknown value"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_repeating_it(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as refused:
        redis_address(url)
    assert "dispatch.url" in refused.value.message
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


def test_no_two_turns_share_a_key() -> None:
    names = ["a", "a:", ":a", "a%3A", "", "ä", "\ud83d", "{a}", "a/b", "x" * 512]
    keys = {
        Keys("0").turn(TurnKey(tenant_id=tenant, turn_id=turn))
        for tenant in names
        for turn in names
    }
    assert len(keys) == len(names) ** 2
    assert all(key.isascii() and " " not in key for key in keys)
