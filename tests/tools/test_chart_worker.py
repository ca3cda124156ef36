"""The drawing process by itself: a request on stdin, two pictures on stdout, and nothing of databot in it."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from databot.tools import chart_worker

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"country": "Peru", "n": 3}, {"country": "Norway", "n": 5}]},
    "mark": "bar",
    "encoding": {
        "x": {"field": "country", "type": "nominal"},
        "y": {"field": "n", "type": "quantitative"},
    },
}


def drawn(spec: object) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, str(Path(chart_worker.__file__))],
        input=json.dumps({"spec": spec, "scale": 1.0}).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_answer_is_the_length_of_the_svg_then_the_svg_then_the_png() -> None:
    done = drawn(SPEC)
    assert done.returncode == 0, done.stderr
    length = int.from_bytes(done.stdout[:8], "big")
    svg, png = done.stdout[8 : 8 + length], done.stdout[8 + length :]
    assert svg.startswith(b"<svg")
    assert svg.rstrip().endswith(b"</svg>")
    assert b"Norway" in svg
    assert png.startswith(b"\x89PNG")


def test_data_from_elsewhere_are_not_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        host, port = server.getsockname()
        drawn({**SPEC, "data": {"url": f"http://{host}:{port}/secret.json"}})
        with pytest.raises(BlockingIOError):  # nobody has knocked
            server.accept()


def test_what_is_no_chart_ends_with_a_status_and_no_picture() -> None:
    done = drawn({"mark": 7})
    assert done.returncode != 0
    assert done.stdout == b""
