"""Plugins are found by entry point, imported on demand, and harm nothing when they are broken."""

import logging

import pytest

from databot.plugins.base import PLUGIN_GROUPS, PluginStatus
from databot.plugins.loader import load_plugins
from databot.tools.base import BaseTool
from tests.plugins.site import Site

BASES = {"databot.tools": BaseTool}
GOOD = """
from databot.tools.base import BaseTool, ToolResult

class Good(BaseTool):
    name = "good"
    description = "says good"

    async def run(self, arguments, context):
        return ToolResult(content="good")
"""


def state_of(statuses: list[PluginStatus], name: str) -> tuple[str, str]:
    (found,) = [status for status in statuses if status.name == name]
    return found.state, found.detail


def test_a_good_plugin_is_loaded_with_its_distribution_and_version(site: Site) -> None:
    site.install("acme-good", "acme_good", GOOD, acme="Good")
    plugins = load_plugins(BASES)
    loaded = plugins.get("databot.tools", "acme")
    assert loaded is not None
    assert issubclass(loaded, BaseTool)
    (status,) = [item for item in plugins.statuses() if item.name == "acme"]
    assert (status.distribution, status.version, status.state) == ("acme-good", "1.2", "loaded")


def test_nothing_is_imported_until_it_is_asked_for(site: Site) -> None:
    marker = site.root / "imported"
    source = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n{GOOD}"
    site.install("acme-lazy", "acme_lazy", source, lazy="Good")
    plugins = load_plugins(BASES)
    assert "lazy" in plugins.names("databot.tools")
    plugins.statuses(["databot.channels"])
    assert not marker.exists()
    plugins.get("databot.tools", "lazy")
    assert marker.exists()


@pytest.mark.parametrize(
    ("source", "attribute", "detail"),
    [
        ("raise RuntimeError('no such\\nluck')", "Good", "RuntimeError: no such luck"),
        ("import a_module_nobody_has", "Good", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "Good", "SystemExit"),
        ("class Good: ...", "Good", "not a subclass of BaseTool"),
        ("Good = 3", "Good", "not a class"),
        (GOOD, "Absent", "AttributeError"),
        ("def (", "Good", "SyntaxError"),
    ],
)
def test_a_broken_plugin_is_told_once_and_left_out(
    site: Site, caplog: pytest.LogCaptureFixture, source: str, attribute: str, detail: str
) -> None:
    module = f"acme_broken_{abs(hash((source, attribute)))}"
    site.install("acme-broken", module, source, broken=attribute)
    site.install("acme-fine", f"{module}_fine", GOOD, fine="Good")
    plugins = load_plugins(BASES)
    with caplog.at_level(logging.WARNING):
        classes = plugins.classes("databot.tools")
        plugins.classes("databot.tools")
        state, told = state_of(list(plugins.statuses()), "broken")
    assert "broken" not in classes
    assert "fine" in classes
    assert state == "failed"
    assert detail in told
    assert "\n" not in told
    lines = [record.getMessage() for record in caplog.records if "broken" in record.getMessage()]
    assert len(lines) == 1


@pytest.mark.parametrize("entry", ["acme", "databot.tools:acme"])
def test_a_disabled_plugin_is_listed_and_never_imported(site: Site, entry: str) -> None:
    site.install("acme-off", "acme_off", "raise RuntimeError('imported')", acme="Good")
    plugins = load_plugins(BASES, disable=[entry])
    assert plugins.get("databot.tools", "acme") is None
    assert state_of(list(plugins.statuses()), "acme") == ("disabled", "listed in plugins.disable")


def test_disabling_a_name_in_another_group_changes_nothing(site: Site) -> None:
    site.install("acme-on", "acme_on", GOOD, acme="Good")
    plugins = load_plugins(BASES, disable=["databot.channels:acme"])
    assert plugins.get("databot.tools", "acme") is not None


def test_only_allowed_distributions_and_our_own_are_loaded(site: Site) -> None:
    site.install("acme-one", "acme_one", GOOD, one="Good")
    site.install("Acme_Two", "acme_two", GOOD, two="Good")
    site.install("databot-daemon", "built_in", GOOD, three="Good")
    plugins = load_plugins(BASES, allow=["acme-two"])
    names = plugins.names("databot.tools")
    assert ("one" in names, "two" in names, "three" in names) == (False, True, True)
    assert state_of(list(plugins.statuses()), "one") == ("disabled", "not listed in plugins.allow")


def test_a_namesake_never_replaces_one_of_ours(site: Site) -> None:
    site.install("aaa-shadow", "shadow", GOOD, taken="Good")
    site.install("databot-daemon", "built_in_taken", GOOD, taken="Good")
    plugins = load_plugins(BASES)
    loaded = plugins.get("databot.tools", "taken")
    assert loaded is not None
    assert loaded.__module__ == "built_in_taken"
    states = {
        status.distribution: (status.state, status.detail)
        for status in plugins.statuses()
        if status.name == "taken"
    }
    assert states == {
        "databot-daemon": ("loaded", ""),
        "aaa-shadow": ("failed", "the name is taken by databot-daemon"),
    }


def test_a_disallowed_namesake_does_not_hold_a_name(site: Site) -> None:
    site.install("aaa-unwanted", "unwanted", GOOD, shared="Good")
    site.install("bbb-wanted", "wanted", GOOD, shared="Good")
    plugins = load_plugins(BASES, allow=["bbb-wanted"])
    loaded = plugins.get("databot.tools", "shared")
    assert loaded is not None
    assert loaded.__module__ == "wanted"


def test_an_unknown_name_is_nothing() -> None:
    assert load_plugins(BASES).get("databot.tools", "nobody-has-this") is None


def test_every_group_of_the_contract_is_searched(site: Site) -> None:
    site.install("acme-all", "acme_all", GOOD)
    (site.root / "acme_all-1.2.dist-info" / "entry_points.txt").write_text(
        "".join(f"[{group}]\neverywhere = acme_all:Good\n" for group in PLUGIN_GROUPS),
        encoding="utf-8",
    )
    plugins = load_plugins({})
    found = {status.group for status in plugins.statuses() if status.name == "everywhere"}
    assert found == set(PLUGIN_GROUPS)
