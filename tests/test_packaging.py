"""What surrounds the program: pinned packages, the container, the commands."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from gateway.config import declared
from tests.support.gateway import ROOT


def compose() -> Any:
    """Return the compose file."""
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")


def checked(*command: str) -> None:
    """Run a checker of the virtual environment. Raises: AssertionError with its complaints."""
    program = Path(sys.executable).with_name(command[0])
    run = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def requirements(name: str) -> dict[str, str]:
    """Return the pinned versions of a requirements file, by normalised name."""
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith("-r ")]
    found = [re.fullmatch(r"([a-z0-9-]+)(?:\[[a-z]+\])?==([0-9.]+)", pin) for pin in pins]
    assert all(found), f"not pinned exactly: {pins}"
    return {match[1]: match[2] for match in found if match}


def imported(folder: str) -> set[str]:
    """Return the top-level names that the modules of a folder import."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"benchmarks", "gateway", "tests"}


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("gateway", ["requirements.txt"]),
        ("tests", ["requirements.txt", "requirements-dev.txt", "tests/clients/requirements-agents.txt"]),
    ],
)
def test_what_is_imported_is_pinned(folder: str, names: list[str]) -> None:
    pinned = {name for file in names for name in requirements(file)}
    owners = packages_distributions() | APART
    for module in sorted(imported(folder)):
        candidates = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners[module]}
        assert candidates & pinned, f"{module} is imported, but {candidates} is not pinned"


APART = {"agents": ["openai-agents"], "langchain_core": ["langchain-core"], "langchain_openai": ["langchain-openai"]}
"""What programs import that run in an environment of their own."""


def locked() -> dict[str, tuple[str, int]]:
    """Return version and number of hashes of each package that the image installs."""
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^([a-z0-9-]+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert text.count("==") == len(entries), "each package with its hashes"
    return {name: (version, hashes.count("sha256")) for name, version, hashes in entries}


def test_the_image_installs_what_is_pinned_and_each_file_by_its_hash() -> None:
    image = locked()
    for name, version in requirements("requirements.txt").items():
        assert image[name][0] == version, f"{name}: run `make lock`"
    assert all(hashes for _, hashes in image.values())
    assert "://" not in (ROOT / "requirements.lock").read_text()
    assert "--require-hashes --only-binary :all:" in (ROOT / "Dockerfile").read_text()


def test_nothing_that_is_needed_is_missing_in_the_image() -> None:
    image = locked()
    waiting = list(requirements("requirements.txt"))
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert name in image, f"{name}: run `make lock`"
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(re.sub(r"[-_.]+", "-", needed.name).lower())


def test_the_container_is_passed_every_setting() -> None:
    gateway = compose()["services"]["gateway"]
    passed = {name for name, value in gateway["environment"].items() if value.startswith(f"${{{name}:-")}
    assert passed == {one.env for _, one in declared() if one.env}


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines.index("USER 10001:10001") < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))


def test_what_the_image_copies_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY ([^-\s]\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        assert f"!{source}" in let_through


def test_the_dockerfile_has_nothing_to_complain_of() -> None:
    checked("hadolint", "Dockerfile")


def test_the_compose_file_fits_the_published_schema() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_container_needs_no_writable_root_and_no_rights() -> None:
    for service in compose()["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["restart"] == "unless-stopped"
    assert (ROOT / "config/models.json").is_file()


def test_the_image_s_steps_work_in_a_clean_environment(tmp_path: Path) -> None:
    """What the Dockerfile runs, with its paths under a folder: there is no engine in most places that run tests."""
    offline = _offline()
    if offline and not os.environ.get("CI"):
        pytest.skip(offline)
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    for path in ("requirements.lock", "openai_proxy.py"):
        shutil.copy(ROOT / path, tmp_path)
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    for step in re.findall(r"^RUN (.*)$", text, re.MULTILINE):
        here = step.replace("/opt/venv", "./venv").replace("-o 10001 -g 10001 ", "")
        here = re.sub(r"(?<= )/(config|data|logs)\b", r"./\1", here)
        subprocess.run(["bash", "-ec", here], cwd=tmp_path, check=True, timeout=300, env=_bare_environment())
    run = subprocess.run(
        [tmp_path / "venv/bin/python", "openai_proxy.py", "--help"], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    for module in ("gateway.app", "gateway.server", "gateway.doctor.command", "gateway.setup.command"):
        subprocess.run([tmp_path / "venv/bin/python", "-c", f"import {module}"], cwd=tmp_path, check=True, timeout=60)


def _bare_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "PIP_", "SSL_", "REQUESTS_", "http", "HTTP", "https", "HTTPS", "no_proxy", "NO_PROXY")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


def _offline() -> str:
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    try:
        urllib.request.urlopen(f"{index}/tomlkit/", timeout=10).close()
    except OSError as error:
        return f"the package index cannot be reached: {error}"
    return ""


def test_the_check_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
