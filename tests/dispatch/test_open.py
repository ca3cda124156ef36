"""Which engine a URL opens."""

import subprocess
import sys

import pytest

from databot.config.shared import ENGINES
from databot.dispatch.open import MEMORY, POSTGRES, REDIS, check_url, open_dispatch, probe
from databot.types.clock import RandomIds, SystemClock
from databot.types.errors import ConfigError, DispatchUnavailable, MissingExtra


@pytest.mark.parametrize(
    "url",
    ["memory://", "redis://localhost", "rediss://h:1/0", "postgres://h/db", "postgresql://h/db"],
)
def test_the_engines_there_are_pass(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize("url", ["", "kafka://s3cret", "memory://x", "redis", "http://s3cret"])
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="names no engine") as refused:
        check_url(url)
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint}"


def test_the_configuration_takes_exactly_the_engines_there_are() -> None:
    assert set(ENGINES) == {f"{kind}//" for kind in (MEMORY, *REDIS, *POSTGRES)}


@pytest.mark.parametrize(
    "url", ["redis://h:x/0", "redis://h/0?nope=1", "postgres://h:x/d", "postgres://h/d?nope=1"]
)
def test_an_address_that_cannot_be_read_is_refused_before_anything_is_opened(url: str) -> None:
    with pytest.raises(ConfigError, match=r"dispatch\.url"):
        check_url(url)


async def test_probing_says_what_answers_or_that_nothing_does() -> None:
    clock, ids = SystemClock(), RandomIds()
    assert await probe("memory://", clock, ids) == "in this process"
    for url in ("redis://127.0.0.1:1", "postgres://u:s3cret@127.0.0.1:1/d"):
        with pytest.raises(DispatchUnavailable, match=r"127\.0\.0\.1:1") as away:
            await probe(url, clock, ids)
        assert "s3cret" not in f"{away.value.message} {away.value.hint}"


async def test_memory_is_one_process_and_redis_is_shared() -> None:
    for url, shared in (("memory://", False), ("redis://127.0.0.1:1", True)):
        async with open_dispatch(url, SystemClock(), RandomIds()) as dispatch:
            assert dispatch.shared is shared


def test_a_missing_client_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("databot.dispatch.redis")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("databot.dispatch.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtra, match="redis") as refused:
        open_dispatch("redis://localhost", SystemClock(), RandomIds())
    assert "databot-daemon[redis]" in refused.value.hint


def test_looking_at_a_url_loads_no_client() -> None:
    program = (
        "import sys; from databot.dispatch.open import check_url; check_url('redis://h');"
        "sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
