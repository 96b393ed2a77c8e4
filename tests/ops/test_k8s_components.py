"""k8s/unix-socket and k8s/shared-volume: each alone and both together, as docs/nginx.md has them in an overlay."""

from __future__ import annotations

import re
import shutil
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from media_service.settings import load, unknown
from tests.ops.test_k8s import DIRECTORY, container, environment, kustomized
from tests.support.nginx import CONF

DOCUMENT = DIRECTORY.parent / "docs" / "nginx.md"
SOCKET, VOLUME = "unix-socket", "shared-volume"
CHOICES = [*chain.from_iterable(combinations((SOCKET, VOLUME), count) for count in (1, 2))]
Objects = dict[str, dict[str, Any]]


def overlaid(place: Path, components: tuple[str, ...]) -> Objects:
    """What an overlay beside a copy of k8s/ makes of it."""
    shutil.copytree(DIRECTORY, place / "k8s")
    (place / "own").mkdir()
    [example] = re.findall(r"```yaml\n(apiVersion: kustomize.*?)```", DOCUMENT.read_text(), re.DOTALL)
    own = yaml.safe_load(example)
    assert own["components"] == ["../k8s/unix-socket", "../k8s/shared-volume"]
    own["components"] = [f"../k8s/{name}" for name in components]
    (place / "own" / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return kustomized(place / "own")


@pytest.fixture(scope="module", params=CHOICES, ids="+".join)
def chosen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Objects]:
    components: tuple[str, ...] = request.param
    return components, overlaid(tmp_path_factory.mktemp("overlay"), components)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return overlaid(tmp_path_factory.mktemp("both"), (SOCKET, VOLUME))


def pod_of(objects: Objects) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


def mounts(pod: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Volume -> where and how a container has it."""
    return {mount["name"]: mount for mount in container(pod, name)["volumeMounts"]}


def test_it_fits_the_schemas_of_kubernetes(chosen: tuple[tuple[str, ...], Objects]) -> None:
    for document in chosen[1].values():
        kubernetes_validate.validate(document, "1.31", strict=True)


def test_nginx_runs_the_very_file_that_the_tests_run(chosen: tuple[tuple[str, ...], Objects]) -> None:
    components, objects = chosen
    address = DIRECTORY / (SOCKET if SOCKET in components else "") / "service_address.conf"
    assert objects["ConfigMap"]["data"] == {
        "nginx.conf": CONF.read_text(),
        "service_address.conf": address.read_text(),
    }


def test_the_service_reads_its_settings(chosen: tuple[tuple[str, ...], Objects]) -> None:
    components, objects = chosen
    variables = environment(pod_of(objects))
    assert unknown(variables) == []
    settings = load(variables)
    assert bool(settings.unix_socket) == (SOCKET in components)
    assert bool(settings.accel_prefix) == (VOLUME in components)
    assert ("MEDIA_SERVICE_PORT" in variables) == (SOCKET not in components)


def test_volumes_and_mounts_meet(chosen: tuple[tuple[str, ...], Objects]) -> None:
    pod = pod_of(chosen[1])
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == set(mounts(pod, "service")) | set(mounts(pod, "nginx"))


def test_nothing_runs_as_root_or_may_write_more(chosen: tuple[tuple[str, ...], Objects]) -> None:
    pod = pod_of(chosen[1])
    assert pod["securityContext"]["runAsNonRoot"] is True
    for one in pod["containers"]:
        context = one["securityContext"]
        assert context.get("runAsUser", 10001) != 0
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_both_call_one_socket(both: Objects) -> None:
    pod = pod_of(both)
    socket = Path(load(environment(pod)).unix_socket)
    text = (DIRECTORY / SOCKET / "service_address.conf").read_text()
    assert re.findall(r"^server (.*);$", text, re.MULTILINE) == [f"unix:{socket}"]
    for name in ("service", "nginx"):
        assert mounts(pod, name)["socket"]["mountPath"] == str(socket.parent)


def test_a_service_without_a_port_is_probed_through_nginx(both: Objects) -> None:
    pod = pod_of(both)
    service = container(pod, "service")
    [port] = [port["containerPort"] for port in container(pod, "nginx")["ports"]]
    assert not service["ports"]
    assert "readinessProbe" not in service
    for name, periods in (("startupProbe", 300), ("livenessProbe", 3)):
        assert service[name]["httpGet"] == {"path": "/livez", "port": port}
        assert service[name]["failureThreshold"] == periods


def test_nginx_has_the_files_that_the_service_means(both: Objects) -> None:
    pod = pod_of(both)
    settings = load(environment(pod))
    ours, its = mounts(pod, "service")["data"], mounts(pod, "nginx")["data"]
    assert its == {"name": "data", "mountPath": ours["mountPath"], "readOnly": True}
    [(prefix, directory)] = re.findall(r"location (\S+) \{\n\s+internal;\n\s+alias (\S+);", CONF.read_text())
    assert prefix == settings.accel_prefix
    assert directory == f"{settings.data_dir}/blobs/"
    assert f"~^/(media|t)/ {prefix};" in CONF.read_text()


def test_nginx_is_of_the_group_that_may_read_films_and_not_the_user_that_may_read_keys(both: Objects) -> None:
    pod = pod_of(both)
    context = container(pod, "nginx")["securityContext"]
    assert context["runAsUser"] != pod["securityContext"]["runAsUser"]
    assert context["runAsGroup"] == pod["securityContext"]["runAsGroup"] == pod["securityContext"]["fsGroup"]
