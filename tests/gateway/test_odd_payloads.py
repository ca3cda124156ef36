"""Values a plugin may produce and JSON has no word for, and a peer that has no address."""

import json
from datetime import date
from decimal import Decimal

import pytest

from databot.gateway.origins import Proxies
from databot.gateway.respond import dumps


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**70, str(2**70)),
        ("half \ud800", '"half \\ud800"'),
        (Decimal("1.50"), '"1.50"'),
        (date(2024, 2, 29), '"2024-02-29"'),
    ],
)
def test_what_json_has_no_word_for_is_spelled_and_never_an_error(value: object, text: str) -> None:
    told = dumps({"value": value})
    assert json.loads(told)["value"] is not None
    assert told.decode().replace(" ", "") == f'{{"value":{text}}}'.replace(" ", "")


@pytest.mark.parametrize("peer", ["", "unix:", "not an address"])
def test_a_peer_without_an_address_is_no_trusted_proxy(peer: str) -> None:
    assert Proxies(["0.0.0.0/0", "::/0"]).client(peer, ["198.51.100.7"]) == peer
