"""What surrounds the program: pinned packages, the container, the commands."""

from __future__ import annotations

import ast
import os
import re
import sys
from importlib.metadata import packages_distributions, requires

import pytest
from packaging.requirements import Requirement

from gateway.config import declared
from tests.support.gateway import ROOT

NOT_IN_COMPOSE = {
    "HOST": "a container listens on all addresses",
    "CHAT_PORT": "published under this number",
    "RESPONSES_PORT": "published under this number",
    "MODELS_FILE": "mounted beside the program",
    "BACKEND_KEY_FILE": "a file of the host",
    "CLIENT_TOKENS_FILE": "a file of the host",
    "ENVELOPE_SECRET_FILE": "a file of the host",
}


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
    [("gateway", ["requirements.txt"]), ("tests", ["requirements.txt", "requirements-dev.txt"])],
)
def test_what_is_imported_is_pinned(folder: str, names: list[str]) -> None:
    pinned = {name for file in names for name in requirements(file)}
    owners = packages_distributions()
    for module in sorted(imported(folder)):
        candidates = {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners[module]}
        assert candidates & pinned, f"{module} is imported, but {candidates} is not pinned"


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
    passed = set(re.findall(r"^ +([A-Z_]+): \$\{\1:-\}$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))
    assert passed | set(NOT_IN_COMPOSE) == {one.env for _, one in declared() if one.env}
    assert not passed & set(NOT_IN_COMPOSE)


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert lines.index("USER gateway") < next(i for i, line in enumerate(lines) if line.startswith("ENTRYPOINT"))


def test_what_the_image_copies_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(r"^COPY (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        assert f"!{source}" in let_through


def test_the_check_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
