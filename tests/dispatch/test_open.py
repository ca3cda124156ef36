"""Which engine a URL opens."""

import subprocess
import sys

import pytest

from databot.dispatch.open import check_url, open_dispatch
from databot.types.clock import RandomIds, SystemClock
from databot.types.errors import ConfigError, MissingExtra


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
