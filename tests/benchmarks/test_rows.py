"""Every row of the benchmarks runs and gives figures that make sense. How fast they are is not judged here."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from benchmarks.__main__ import main, run
from benchmarks.figures import Figure, Target, at_least, at_most, from_data, table
from benchmarks.shared import can_share
from benchmarks.suite import WHERE

CAN_SHARE = can_share()
FIGURES = {
    "http_floor": 1,
    "http_post": 1,
    "ws_message": 2,
    "llm_call": 2,
    "llm_litellm": 1,
    "llm_stream": 4,
    "store_append": 5,
    "store_group": 6 if "DATABOT_TEST_POSTGRES_URL" in os.environ else 3,
    "store_load": 2,
    "bus_dispatch": 2,
    "tail_gc": 2,
    "cli_start": 4,
    "turns": 2,
    "turns_replicas": 2 if CAN_SHARE else 0,
    "turns_http": 6,
    "added_latency": 1,
    "isolation": 1,
    "fairness": 1,
    "crowd": 3,
    "recovery": 2 if CAN_SHARE else 1,
    "rss": 2,
}
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="CPU of other processes is read from /proc"
)


def check(name: str, figures: Sequence[Figure]) -> None:
    assert [figure.row for figure in figures] == [name] * FIGURES[name]
    for figure in figures:
        assert figure.value > 0 or figure.row in {"added_latency", "rss", "tail_gc", "crowd"}
        assert (figure.baseline is None) == (figure.ratio is None)
        assert figure.ratio is None or figure.ratio >= 0


@pytest.mark.parametrize("name", WHERE)
@pytest.mark.timeout(300)
def test_a_row_runs_and_gives_its_figures(name: str) -> None:
    check(name, run(name, quick=True))


def test_every_row_is_known_to_this_test() -> None:
    assert set(FIGURES) == set(WHERE)


def test_a_row_that_fails_says_why_and_the_others_are_still_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(name: str, *, quick: bool) -> list[Figure]:
        if name == "turns":
            raise RuntimeError("the disk is full")
        return [Figure(row=name, what="w", value=1, unit="us" if quick else "ms")]

    monkeypatch.setattr("benchmarks.__main__.run", measured)
    out = tmp_path / "bench.json"
    assert main(["--only", "turns,rss", "--quick", "--json", str(out)]) == 1
    shown, told = capsys.readouterr()
    assert "rss" in shown
    assert "the disk is full" in told
    written = orjson.loads(out.read_bytes())
    assert written["failed"] == {"turns": "the disk is full"}
    assert [each["row"] for each in written["figures"]] == ["rss"]
    assert written["spin_ms"]["rss"] > 0


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (at_most(3.0), True),
        (at_most(2.9), False),
        (at_least(3.0), True),
        (at_least(3.1), False),
        (Target(of="value", most=30), True),
        (Target(of="value", least=31), False),
    ],
)
def test_a_target_is_met_or_missed(target: Target, met: bool) -> None:
    judged = Figure(
        row="r", what="w", value=30.0, unit="us", baseline=10.0, ratio=3.0, target=target
    )
    assert judged.met is met
    assert ("ok" if met else "MISSED") in table([judged])


def test_a_figure_survives_its_way_through_json() -> None:
    before = Figure(row="r", what="w", value=1.5, unit="ms", target=Target(of="value", most=2))
    assert from_data(orjson.loads(orjson.dumps(before.as_data()))) == before


def test_an_unknown_row_is_a_usage_error_that_lists_the_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "turnz"])
    assert ended.value.code == 2
    assert "store_load" in capsys.readouterr().err
