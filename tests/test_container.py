"""The image and the compose file keep what docs/container.md says of them."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CLUSTER = (ROOT / "deployments" / "cluster.compose.yaml").read_text()
KUBERNETES = (ROOT / "deployments" / "cluster.kubernetes.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_writes_to_the_home_and_tmp_alone(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    written = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert written == ["home:/home/sentiment/var"]
    assert "user" not in service
    assert "privileged" not in service


def test_ports_are_published_on_this_machine_alone() -> None:
    published = {name: port for name, service in SERVICES.items() for port in service.get("ports", [])}
    assert set(published) == {"server", "mlflow", "api"}
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published.values())


def test_what_the_services_run_is_there() -> None:
    modules = [
        service["entrypoint"][2] for service in SERVICES.values() if service.get("entrypoint", [""])[0] == "python"
    ]
    assert modules
    assert all(importlib.util.find_spec(module) for module in modules)


def test_servers_are_asked_by_names_that_they_know() -> None:
    """`http://server:4200` is what the other services ask for."""
    asked = {str(match) for match in re.findall(r"https?://([\w.]+):\d+", yaml.dump(SERVICES))}
    server = SERVICES["server"]["environment"]["SENTIMENT_ALLOWED_HOSTS"].partition("$")[0]
    assert asked - {"127.0.0.1"} == set(server.strip(",").split(","))
    assert any(argument.startswith("--allowed-hosts=127.0.0.1:*,") for argument in SERVICES["mlflow"]["command"])


def test_services_start_after_what_they_need() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        if name not in ("store", "sentiment"):
            assert service["depends_on"], name


def test_the_image_runs_without_rights_and_is_checked() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    (user,) = re.findall(r"^USER (\S+)$", final, flags=re.MULTILINE)
    assert int(user) > 0
    assert "HEALTHCHECK" in final
    assert not re.search(r"apt-get|gcc|build-essential", DOCKERFILE)
    assert re.findall(r"^VOLUME (\S+)$", final, flags=re.MULTILINE) == ["/home/sentiment/var"]


def test_what_is_no_part_of_the_image_is_not_sent_to_its_build() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", ".venv", "var", "tests"} <= ignored
    copied = {
        word for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE) for word in line.split()
    }
    assert {"flows", "sentiment", "sql", "deployments", "requirements.lock"} <= copied
    assert all((ROOT / name).exists() and name not in ignored for name in copied)


@pytest.mark.parametrize("service", yaml.safe_load(CLUSTER)["services"].values())
def test_scheduler_and_workers_have_no_rights_and_hold_dask(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    assert service["build"]["args"]["EXTRAS"] == "cluster"
    assert service["environment"]["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"


def test_pods_of_the_cluster_have_no_rights() -> None:
    pods = [part for part in yaml.safe_load_all(KUBERNETES) if part["kind"] == "Deployment"]
    assert len(pods) == 2
    for pod in pods:
        (container,) = pod["spec"]["template"]["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["runAsNonRoot"] is True


def test_the_cluster_reads_a_configuration_that_the_image_holds() -> None:
    (workdir,) = set(re.findall(r"^WORKDIR (\S+)$", DOCKERFILE, flags=re.MULTILINE))
    named = set(re.findall(r"DASK_CONFIG: (\S+)", CLUSTER + KUBERNETES))
    assert named == {f"{workdir}/deployments/dask.yaml"}
    assert (ROOT / "deployments" / "dask.yaml").exists()


def test_an_extra_of_the_image_is_one_of_the_project() -> None:
    """The line of the Dockerfile that lists what is installed, run as the build runs it."""
    script = DOCKERFILE.split("-c '")[2].split("' > requirements.txt")[0].replace("\\\n", "")
    found = {
        extras: subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"EXTRAS": extras},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for extras in ("", "cluster lake")
    }
    more = set(found["cluster lake"]) - set(found[""])
    assert {re.split(r"[=><]", line)[0] for line in more} == {"dask", "distributed", "deltalake"}
