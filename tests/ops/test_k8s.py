"""k8s/ renders, fits the Kubernetes schemas, and its numbers add up."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ingest.pipeline import PROBES_AT_ONCE
from media_service.server.listener import KEEP_ALIVE_SECONDS
from media_service.settings import Settings, load, unknown
from media_service.work.clips import CLIPPERS
from media_service.work.extras import LOOKERS
from media_service.work.going import AT_ONCE
from media_service.work.inits import MAKERS
from media_service.work.previewing import PREVIEWERS
from media_service.work.stills import DRAWERS
from tests.support.nginx import CONF

DIRECTORY = CONF.parent
ADDRESS = DIRECTORY / "service_address.conf"
DOCUMENT = DIRECTORY.parent / "docs" / "security.md"
MIB = 1 << 20
SERVER_ITSELF = 768 * MIB  # as docs/settings.md says
NGINX_ITSELF = 128 * MIB


def kustomized(directory: Path) -> dict[str, dict[str, Any]]:
    """Kind -> object, of what `kubectl kustomize` prints."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; `make test` installs it")
    text = subprocess.run(
        [kubectl, "kustomize", str(directory)], check=True, capture_output=True, text=True
    ).stdout
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    """What `kubectl apply -k k8s` would apply."""
    return kustomized(DIRECTORY)


@pytest.fixture(scope="module")
def behind_an_ingress(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The overlay for an Ingress, as docs/security.md has it, beside a copy of k8s/."""
    place = tmp_path_factory.mktemp("behind-an-ingress")
    shutil.copytree(DIRECTORY, place / "k8s")
    (place / "own").mkdir()
    [proxies] = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    kustomization, ingress = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (place / "own" / "trusted_proxies.conf").write_text(textwrap.dedent(proxies))
    (place / "own" / "kustomization.yaml").write_text(kustomization)
    (place / "own" / "ingress.yaml").write_text(ingress)
    return kustomized(place / "own")


@pytest.fixture(scope="module")
def pod(rendered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = rendered["Deployment"]["spec"]["template"]["spec"]
    return spec


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = [container for container in pod["containers"] if container["name"] == name]
    return found


def environment(pod: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container(pod, "service")["env"]}


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity such as 640Mi."""
    number, unit = re.fullmatch(r"(\d+)(Ki|Mi|Gi)", text).groups()  # type: ignore[union-attr] # then the test fails
    return int(number) << {"Ki": 10, "Mi": 20, "Gi": 30}[unit]


def test_everything_is_rendered(rendered: dict[str, dict[str, Any]]) -> None:
    kinds = {"ConfigMap", "Service", "PersistentVolumeClaim", "Deployment", "NetworkPolicy"}
    assert set(rendered) == kinds


def test_others_in_the_cluster_reach_nginx_only(
    rendered: dict[str, dict[str, Any]], pod: dict[str, Any]
) -> None:
    [rule] = rendered["NetworkPolicy"]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["http"]
    assert [port["name"] for port in container(pod, "nginx")["ports"]] == ["http"]
    selected = rendered["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    labels = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selected.items() <= labels.items()


@pytest.mark.parametrize("version", ["1.28", "1.31", "1.34"])
def test_it_fits_the_schemas_of_kubernetes(rendered: dict[str, dict[str, Any]], version: str) -> None:
    for document in rendered.values():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_overlay_for_an_ingress_tells_nginx_of_it_and_lets_in_nobody_else(
    rendered: dict[str, dict[str, Any]], behind_an_ingress: dict[str, dict[str, Any]]
) -> None:
    assert set(behind_an_ingress) == {*rendered, "Ingress"}
    for document in behind_an_ingress.values():
        kubernetes_validate.validate(document, "1.31", strict=True)
    files = behind_an_ingress["ConfigMap"]["data"]
    assert files["nginx.conf"] == CONF.read_text()
    assert "set_real_ip_from " in files["trusted_proxies.conf"]
    assert fnmatch(
        "trusted_proxies.conf", re.findall(r"^ *include (\S+);", CONF.read_text(), re.MULTILINE)[0]
    )
    [rule] = behind_an_ingress["NetworkPolicy"]["spec"]["ingress"]
    assert list(rule["from"][0]["namespaceSelector"]["matchLabels"]) == ["kubernetes.io/metadata.name"]
    assert rule["ports"] == rendered["NetworkPolicy"]["spec"]["ingress"][0]["ports"]
    [way] = behind_an_ingress["Ingress"]["spec"]["rules"][0]["http"]["paths"]
    service = behind_an_ingress["Service"]
    assert way["backend"]["service"]["name"] == service["metadata"]["name"]
    assert way["backend"]["service"]["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]


def test_the_validator_would_see_a_mistake(rendered: dict[str, dict[str, Any]]) -> None:
    misspelt = {**rendered["Service"], "spec": {"portz": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, "1.31", strict=True)


def test_nginx_runs_the_very_file_that_the_tests_run(
    rendered: dict[str, dict[str, Any]], pod: dict[str, Any]
) -> None:
    config = rendered["ConfigMap"]
    assert config["data"] == {"nginx.conf": CONF.read_text(), "service_address.conf": ADDRESS.read_text()}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    nginx = container(pod, "nginx")
    [mount] = [mount for mount in nginx["volumeMounts"] if volumes[mount["name"]].get("configMap")]
    assert volumes[mount["name"]]["configMap"]["name"] == config["metadata"]["name"]
    assert f"{mount['mountPath']}/nginx.conf" in nginx["command"]


def test_names_and_ports_meet(rendered: dict[str, dict[str, Any]], pod: dict[str, Any]) -> None:
    labels = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rendered["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert rendered["Service"]["spec"]["selector"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for one in pod["containers"] for port in one["ports"]}
    assert rendered["Service"]["spec"]["ports"][0]["targetPort"] == "http"
    assert f"listen {ports['http']} " in CONF.read_text()
    assert f"server 127.0.0.1:{ports['service']};" in ADDRESS.read_text()
    assert environment(pod)["MEDIA_SERVICE_PORT"] == str(ports["service"])
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == [rendered["PersistentVolumeClaim"]["metadata"]["name"]]


def test_the_environment_is_one_that_the_service_reads(pod: dict[str, Any]) -> None:
    variables = environment(pod)
    assert unknown(variables) == []
    assert isinstance(load(variables), Settings)


def test_kubernetes_does_not_set_our_variables(pod: dict[str, Any]) -> None:
    # For a Service named media-service it would set MEDIA_SERVICE_PORT=tcp://..., which is no port.
    assert pod["enableServiceLinks"] is False


def test_the_services_memory_adds_up(pod: dict[str, Any]) -> None:
    settings = load(environment(pod))
    needs = (
        settings.upload_memory_bytes
        + (settings.transcode_workers + AT_ONCE) * settings.transcode_memory_bytes
        + settings.transform_workers * settings.transform_memory_bytes
        + (PROBES_AT_ONCE + LOOKERS + DRAWERS + PREVIEWERS + CLIPPERS + MAKERS) * PROBE_LIMITS.memory_bytes
        + SERVER_ITSELF
    )
    limits = container(pod, "service")["resources"]["limits"]
    assert quantity(limits["memory"]) >= needs
    assert settings.transcode_workers * settings.transcode_threads <= int(limits["cpu"])


def test_nginx_memory_adds_up(pod: dict[str, Any]) -> None:
    text = CONF.read_text()
    [workers] = re.findall(r"^worker_processes (\d+);", text, re.MULTILINE)
    [connections] = re.findall(r"^\s+worker_connections (\d+);", text, re.MULTILINE)
    buffers = max(
        int(size) << 10 for size in re.findall(r"^\s+proxy_buffer_size (\d+)k;", text, re.MULTILINE)
    )
    needs = int(workers) * int(connections) // 2 * buffers + NGINX_ITSELF
    assert quantity(container(pod, "nginx")["resources"]["limits"]["memory"]) >= needs


def test_the_pod_waits_for_the_services_own_shutdown(pod: dict[str, Any]) -> None:
    assert pod["terminationGracePeriodSeconds"] >= load(environment(pod)).shutdown_seconds + 20


def test_nginx_ends_idle_connections_before_the_service_does() -> None:
    [upstream] = re.findall(r"upstream service \{.*?\n    \}", CONF.read_text(), re.DOTALL)
    [seconds] = re.findall(r"keepalive_timeout (\d+)s;", upstream)
    assert int(seconds) < KEEP_ALIVE_SECONDS


def test_one_pod_at_a_time_holds_the_volume(rendered: dict[str, dict[str, Any]]) -> None:
    spec = rendered["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert rendered["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_nothing_runs_as_root_or_writes_outside_its_volumes(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for one in pod["containers"]:
        context = one["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "limits" in one["resources"]


def test_the_service_is_probed_itself_and_through_nginx(pod: dict[str, Any]) -> None:
    service, nginx = container(pod, "service"), container(pod, "nginx")
    assert service["startupProbe"]["httpGet"] == {"path": "/livez", "port": "service"}
    probe = service["startupProbe"]
    assert (
        probe["periodSeconds"] * probe["failureThreshold"] >= 600
    )  # migrations of a large catalog, on a busy node
    assert service["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "service"}
    assert service["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "service"}
    assert nginx["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert environment(pod)["MEDIA_SERVICE_HOST"] == "0.0.0.0"  # else the kubelet could not reach it


def test_no_secret_is_kept_here() -> None:
    for path in Path(DIRECTORY).rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            assert document["kind"] != "Secret"


def test_the_token_comes_from_a_secret_that_may_be_absent(pod: dict[str, Any]) -> None:
    [token] = [
        variable for variable in container(pod, "service")["env"] if variable["name"].endswith("ADMIN_TOKEN")
    ]
    assert token["valueFrom"]["secretKeyRef"] == {
        "name": "media-service",
        "key": "admin-token",
        "optional": True,
    }
