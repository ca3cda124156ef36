"""The Kubernetes manifests fit the daemon and the cluster: schemas, configuration, probes, ports, drain, selectors."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from databot.app.gateway import gateway_options
from databot.config.settings import Settings
from databot.gateway.api.operations import ROUTES, make_routes
from databot.gateway.options import check_binding
from databot.gateway.server import CLOSE_S, DRAIN_S, FAREWELL_S
from databot.types.errors import ConfigError

ROOT = Path(__file__).parent.parent
K8S, SCALE_OUT = ROOT / "k8s", ROOT / "examples" / "scale-out"
VERSIONS = ("1.32.0", "1.37.0")
WORKLOADS = {"base": "Deployment", "single": "StatefulSet"}
SPARE_S = 3

Manifest = dict[str, Any]


def manifests(folder: str) -> Iterator[tuple[str, Manifest]]:
    """Every Kubernetes object of a folder, with its file."""
    for path in sorted((K8S / folder).glob("*.yaml")):
        if path.name not in {"kustomization.yaml", "config.yaml"}:
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                yield path.name, document


def objects(folder: str) -> dict[str, Manifest]:
    return {document["kind"]: document for _, document in manifests(folder)}


def kustomization(folder: str) -> Manifest:
    return yaml.safe_load((K8S / folder / "kustomization.yaml").read_text(encoding="utf-8"))


def workload(folder: str) -> Manifest:
    return objects(folder)[WORKLOADS[folder]]["spec"]


def pod(folder: str) -> Manifest:
    return workload(folder)["template"]["spec"]


def container(folder: str) -> Manifest:
    [only] = pod(folder)["containers"]
    return only


def settings_of(folder: str, tmp_path: Path, secrets: dict[str, str]) -> Settings:
    """What a replica reads: the folder's configuration, with the secret in its environment."""
    file = tmp_path / "config.yaml"
    file.write_bytes((K8S / folder / "config.yaml").read_bytes())
    return Settings.load(file, secrets)


def secrets_of(folder: str) -> dict[str, str]:
    return dict(objects(folder)["Secret"]["stringData"])


@pytest.mark.parametrize("folder", WORKLOADS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_one_the_cluster_takes(folder: str, version: str) -> None:
    found = list(manifests(folder))
    assert len(found) >= 3
    for _, manifest in found:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_are_strict() -> None:
    manifest = deepcopy(objects("base")["Deployment"])
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("folder", WORKLOADS)
def test_every_manifest_is_applied_but_the_placeholders_of_secrets(folder: str) -> None:
    kinds = {name: manifest["kind"] for name, manifest in manifests(folder)}
    applied = kustomization(folder)["resources"]
    assert sorted(applied) == sorted(name for name, kind in kinds.items() if kind != "Secret")
    assert kinds["secret.example.yaml"] == "Secret"
    [generated] = kustomization(folder)["configMapGenerator"]
    assert generated == {"name": "databot", "files": ["config.yaml"]}
    [image] = kustomization(folder)["images"]
    assert image["name"] == container(folder)["image"]


@pytest.mark.parametrize("folder", WORKLOADS)
def test_its_configuration_is_one_the_daemon_starts_with(folder: str, tmp_path: Path) -> None:
    settings = settings_of(folder, tmp_path, secrets_of(folder))
    options = gateway_options(settings)
    check_binding(options.host, options.api_keys)
    [port] = container(folder)["ports"]
    assert port["containerPort"] == options.port
    [served] = objects(folder)["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    mounts = [mount["mountPath"] for mount in container(folder)["volumeMounts"]]
    assert str(settings.data_dir) in mounts
    assert "/etc/databot" in mounts
    assert container(folder)["args"] == ["gateway", "--config", "/etc/databot/config.yaml"]


@pytest.mark.parametrize("folder", WORKLOADS)
def test_it_does_not_start_without_its_secrets(folder: str, tmp_path: Path) -> None:
    needed = [name for name, value in secrets_of(folder).items() if value]
    assert needed
    for missing in needed:
        there = {name: value for name, value in secrets_of(folder).items() if name != missing}
        with pytest.raises(ConfigError, match=f"{missing} is not set"):
            settings_of(folder, tmp_path, there)


def test_replicas_share_the_journal_and_find_each_other(tmp_path: Path) -> None:
    settings = settings_of("base", tmp_path, secrets_of("base"))
    assert settings.storage_url().startswith("postgresql+asyncpg://")
    dispatch: Any = settings.dispatch.url
    url = dispatch if isinstance(dispatch, str) else dispatch.get_secret_value()
    assert url.startswith("redis://")
    volumes = {volume["name"]: volume for volume in pod("base")["volumes"]}
    claim = volumes["artifacts"]["persistentVolumeClaim"]["claimName"]
    shared = objects("base")["PersistentVolumeClaim"]
    assert shared["metadata"]["name"] == claim
    assert shared["spec"]["accessModes"] == ["ReadWriteMany"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container("base")["volumeMounts"]}
    assert mounts["artifacts"] == f"{settings.data_dir}/artifacts"


@pytest.mark.parametrize("folder", WORKLOADS)
def test_its_probes_are_routes_anybody_may_ask(folder: str) -> None:
    public = {route.path for route in (*ROUTES, *make_routes()) if route.permission == "public"}
    probes = {
        name: container(folder)[f"{name}Probe"] for name in ("startup", "readiness", "liveness")
    }
    asked = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert asked == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    assert set(asked.values()) <= public
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"http"}
    assert probes["readiness"]["timeoutSeconds"] > 10  # it gives the components that long


@pytest.mark.parametrize("folder", WORKLOADS)
def test_there_is_time_to_drain(folder: str) -> None:
    hook = container(folder).get("lifecycle", {}).get("preStop", {}).get("exec", {})
    pause = float(hook.get("command", ["sleep", "0"])[1])
    takes = pause + DRAIN_S + FAREWELL_S + CLOSE_S
    assert pod(folder)["terminationGracePeriodSeconds"] >= takes + SPARE_S


@pytest.mark.parametrize("folder", WORKLOADS)
def test_a_replica_may_do_little(folder: str) -> None:
    spec, only = pod(folder), container(folder)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert only["securityContext"]["readOnlyRootFilesystem"] is True
    assert only["securityContext"]["allowPrivilegeEscalation"] is False
    assert only["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(only["resources"])
    user = f"--uid {spec['securityContext']['runAsUser']} "
    assert user in (K8S / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", WORKLOADS)
def test_everything_selects_the_same_pods(folder: str) -> None:
    labels = workload(folder)["template"]["metadata"]["labels"]
    found = objects(folder)
    selectors = [workload(folder)["selector"]["matchLabels"], found["Service"]["spec"]["selector"]]
    if folder == "base":
        selectors.append(found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
    assert all(selector.items() <= labels.items() for selector in selectors)


def test_several_replicas_roll_without_a_gap_and_stick_to_nobody() -> None:
    spec = workload("base")
    found = objects("base")
    assert spec["replicas"] == found["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 3
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found["Service"]["spec"]["sessionAffinity"] == "None"
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] < spec["replicas"]
    target = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    deployment = found["Deployment"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }


def test_a_single_one_has_one_owner_of_its_disk() -> None:
    spec = workload("single")
    assert spec["replicas"] == 1
    [claim] = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container("single")["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/data"
    assert objects("single")["Service"]["metadata"]["name"] == spec["serviceName"]


# The example with containers


def composed(variables: Mapping[str, str]) -> Manifest:
    """`compose.yaml` with its variables filled in, as the command does it."""
    text = (SCALE_OUT / "compose.yaml").read_text(encoding="utf-8").replace("$$", "\0")
    filled = re.sub(
        r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}",
        lambda found: variables.get(found[1], found[2] or ""),
        text,
    )
    return yaml.safe_load(filled.replace("\0", "$"))


def test_the_composed_replicas_start_with_what_they_are_given(tmp_path: Path) -> None:
    secrets = {"API_KEY": "0123456789abcdef", "POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r"}
    services = composed(secrets)["services"]
    replicas = {name: it for name, it in services.items() if name.startswith("databot-")}
    assert len(replicas) == 3
    file = tmp_path / "config.yaml"
    file.write_bytes((SCALE_OUT / "config.yaml").read_bytes())
    places: list[str] = []
    for name, replica in replicas.items():
        settings = Settings.load(file, replica["environment"])
        options = gateway_options(settings)
        check_binding(options.host, options.api_keys)
        places.append(f"{name}:{options.port}")
        assert settings.storage_url() == "postgresql+asyncpg://databot:p@postgres/databot"
        assert settings.data_dir == Path("/data")
        assert any(volume.split(":")[1] == "/data" for volume in replica["volumes"])
        assert float(replica["stop_grace_period"].rstrip("s")) >= DRAIN_S + FAREWELL_S + CLOSE_S
        assert replica["environment"]["REDIS_URL"] == "redis://:r@redis:6379/0"
        assert set(replica["depends_on"]) <= set(services)
    proxied = (SCALE_OUT / "nginx.conf").read_text(encoding="utf-8")
    assert re.findall(r"server ([\w-]+:\d+)", proxied) == places
    assert "ip_hash" not in proxied
