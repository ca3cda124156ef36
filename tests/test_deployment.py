"""The Kubernetes manifests fit the daemon: the configuration loads, the probes and ports are its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from databot.app.gateway import gateway_options
from databot.config.settings import Settings
from databot.gateway.options import check_binding
from databot.types.errors import ConfigError

MANIFESTS = Path(__file__).parent.parent / "k8s" / "databot.yaml"
KEY = {"DATABOT_KEY": "0123456789abcdef"}


def documents() -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))
    return {document["kind"]: document for document in found}


def settings_of(tmp_path: Path, environ: dict[str, str]) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(documents()["ConfigMap"]["data"]["config.yaml"], encoding="utf-8")
    return Settings.load(file, environ)


def test_its_configuration_is_one_the_daemon_starts_with(tmp_path: Path) -> None:
    options = gateway_options(settings_of(tmp_path, KEY))
    check_binding(options.host, options.api_keys)
    [container] = documents()["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == options.port


def test_it_does_not_start_without_its_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DATABOT_KEY is not set"):
        settings_of(tmp_path, {})


def test_one_owner_at_a_time_with_time_to_drain() -> None:
    spec = documents()["Deployment"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"]["type"] == "Recreate"
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 30
