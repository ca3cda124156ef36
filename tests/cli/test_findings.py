"""What `doctor` finds, and what the other looking commands say when things are not as they should be."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from databot.cli.checks import data_folder, dependencies, extra_check
from databot.config.settings import Settings
from tests.cli.conftest import ROOT, Run
from tests.flows.daemon import make_database
from tests.plugins.site import Site


def configure(folder: Path, **sections: Any) -> None:  # noqa: ANN401 - configuration values
    values = {"llm": {"model": "offline"}, "rag": {"enabled": False}, **sections}
    (folder / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> dict[str, Any]:
    make_database(tmp_path / "shop.db")
    return {"shop": {"type": "sql", "url": f"sqlite:///{tmp_path / 'shop.db'}"}}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    root = tmp_path / "site"
    root.mkdir()
    return Site(root)


def findings(done: Any) -> dict[tuple[str, str], dict[str, str]]:  # noqa: ANN401 - a CompletedProcess
    return {(item["area"], item["name"]): item for item in json.loads(done.stdout)}


def test_the_doctor_says_that_no_database_is_configured(databot: Run, tmp_path: Path) -> None:
    configure(tmp_path)
    done = databot("doctor", "--json")
    finding = findings(done)["config", "connectors"]
    assert (finding["state"], done.returncode) == ("warn", 0)
    assert "add a database" in finding["detail"]


def test_the_doctor_says_that_the_store_is_broken(databot: Run, tmp_path: Path) -> None:
    configure(tmp_path)
    (tmp_path / ".databot").mkdir()
    (tmp_path / ".databot" / "databot.db").write_bytes(b"not a database" * 1000)
    done = databot("doctor", "--json")
    finding = findings(done)["daemon", "start"]
    assert (finding["state"], done.returncode) == ("broken", 1)
    assert "databot.db" in finding["detail"]


def test_the_doctor_asks_the_engine_between_the_gateways_replicas(
    databot: Run, tmp_path: Path
) -> None:
    configure(tmp_path)
    alone = findings(databot("doctor", "--json"))["daemon", "dispatch"]
    assert (alone["state"], alone["detail"]) == ("ok", "in this process")
    storage = {"url": "postgresql+asyncpg://127.0.0.1:1/d"}
    configure(tmp_path, storage=storage, dispatch={"url": "redis://:s3cret-word@127.0.0.1:1/0"})
    done = databot("doctor", "--json")
    away = findings(done)["daemon", "dispatch"]
    assert away["state"] == "warn"
    assert "127.0.0.1:1" in away["detail"]
    assert "s3cret" not in done.stdout


def test_the_doctor_names_a_plugin_that_does_not_load(
    databot: Run, tmp_path: Path, site: Site
) -> None:
    configure(tmp_path)
    site.install("acme-broken", "acme_broken", "raise RuntimeError('no luck')", tickets="Tickets")
    done = databot("doctor", "--json", PYTHONPATH=f"{site.root}:{ROOT}")
    finding = findings(done)["plugin", "databot.tools:tickets"]
    assert (finding["state"], done.returncode) == ("warn", 0)
    assert "no luck" in finding["detail"]


def test_a_data_folder_that_cannot_be_made_is_found_without_making_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (finding,) = data_folder(Settings.parse({"data_dir": str(tmp_path / "file" / "data")}))
    assert finding.state == "broken"
    assert "cannot be written; set data_dir" in finding.detail
    (finding,) = data_folder(Settings.parse({"data_dir": str(tmp_path / "new" / "data")}))
    assert (finding.state, (tmp_path / "new").exists()) == ("ok", False)


def test_a_package_that_is_missing_is_found_by_name(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site.root))
    site.install("databot-daemon", "nothing_here", "")
    metadata = site.root / "databot_daemon-1.2.dist-info" / "METADATA"
    metadata.write_text(
        "Metadata-Version: 2.1\nName: databot-daemon\nVersion: 1.2\n"
        "Requires-Dist: pytest>=1\nRequires-Dist: nobody-has-this>=3\n"
        'Requires-Dist: only-on-windows; sys_platform == "win32"\n'
        "Requires-Dist: nor-this; extra == 'lake'\nRequires-Dist: ruff; extra == 'lint'\n",
        encoding="utf-8",
    )
    found = {(item.area, item.name): item for item in dependencies()}
    packages = found["install", "packages"]
    assert packages.state == "broken"
    assert packages.detail == "not installed: nobody-has-this; install databot again"
    lake = found["extra", "lake"]
    assert lake.state == "off"
    assert "pip install 'databot-daemon[lake]'" in lake.detail
    assert found["extra", "lint"] == extra_check("lint", [])


def test_without_an_installed_distribution_nothing_is_said_of_its_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("databot.cli.checks.DISTRIBUTION", "databot-not-installed")
    assert list(dependencies()) == []


def test_retrieval_that_is_switched_off_is_told_and_status_2(databot: Run, tmp_path: Path) -> None:
    configure(tmp_path)
    done = databot("rag", "search", "refunds")
    assert done.returncode == 2
    assert done.stderr == "databot: retrieval is switched off (set rag.enabled to true)\n"


def test_an_ingest_counts_in_words_and_tells_what_it_could_not_read(
    databot: Run, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "refunds.md").write_text("# Refunds\n\nWithin thirty days.", encoding="utf-8")
    (docs / "broken.md").write_bytes(b"\x00\x01\x02" * 40)
    configure(tmp_path, rag={"enabled": True, "sources": [str(docs)]})
    done = databot("rag", "ingest")
    assert done.returncode == 1
    assert done.stdout == "1 added, 0 updated, 0 removed, 0 unchanged\n"
    assert "! docs/broken.md was left out: it is a binary file" in done.stderr


def test_a_tools_result_is_json_where_asked(
    databot: Run, tmp_path: Path, shop: dict[str, Any]
) -> None:
    configure(tmp_path, connectors=shop)
    args = '{"sql": "SELECT COUNT(*) AS n FROM orders"}'
    done = databot("tools", "run", "sql", "--args", args, "--json")
    result = json.loads(done.stdout)
    assert result["ok"] is True
    assert result["evidence"][0]["sample"] == [[6]]
    assert "figures" not in result


def test_a_file_a_tool_made_is_told_beside_its_result(
    databot: Run, tmp_path: Path, shop: dict[str, Any]
) -> None:
    configure(tmp_path, connectors=shop)
    args = '{"sql": "SELECT * FROM orders", "format": "csv", "name": "orders"}'
    done = databot("tools", "run", "export", "--args", args)
    assert done.returncode == 0, done.stderr
    assert "▸ shop · 6 rows" in done.stderr
    assert "▸ file orders.csv · " in done.stderr


def test_a_tools_files_are_written_where_they_are_wanted_and_nowhere_else(
    databot: Run, tmp_path: Path, shop: dict[str, Any]
) -> None:
    configure(tmp_path, connectors=shop)
    (tmp_path / "there").mkdir()
    (tmp_path / "orders.csv").write_text("mine")
    args = '{"sql": "SELECT id FROM orders ORDER BY id", "format": "csv", "name": "orders"}'
    told = databot("tools", "run", "export", "--args", args)
    assert "▸ file orders-2.csv · " in told.stderr
    asked = databot("tools", "run", "export", "--args", args, "-o", "there", "--json")
    assert json.loads(asked.stdout)["files"] == ["there/orders.csv"]
    assert (tmp_path / "orders.csv").read_text() == "mine"
    for file in (tmp_path / "orders-2.csv", tmp_path / "there" / "orders.csv"):
        assert file.read_text().split() == ["id", "1", "2", "3", "4", "5", "6"]
    assert [kept for kept in tmp_path.rglob("artifacts/**/*") if kept.is_file()] == []
    nowhere = databot("tools", "run", "export", "--args", args, "-o", "nowhere")
    assert nowhere.returncode == 2
    assert "'nowhere' does not exist" in nowhere.stderr


def test_a_conversation_is_named_with_its_bot_where_two_have_one_of_the_same_name(
    databot: Run, tmp_path: Path
) -> None:
    configure(tmp_path, bots={"default": {}, "second": {}})
    for bot in ("default", "second"):
        asked = ("chat", "--bot", bot, "--session", "s", "-m", f"this is {bot}")
        assert databot(*asked).returncode == 0
    assert "this is second" in databot("sessions", "show", "s").stdout
    assert "this is default" in databot("sessions", "show", "s", "--bot", "default").stdout
    exported = databot("sessions", "export", "s", "--bot", "default").stdout
    assert json.loads(exported)["messages"][0]["content"] == "this is default"
    assert databot("sessions", "delete", "s", "--bot", "default", "--yes").returncode == 0
    for command in (("show", "s"), ("delete", "s", "--yes")):
        gone = databot("sessions", *command, "--bot", "default")
        assert (gone.returncode, "no session named 's'" in gone.stderr) == (1, True)
    assert "this is second" in databot("sessions", "show", "s").stdout
