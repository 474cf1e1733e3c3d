"""The docs: made parts are up to date, links lead somewhere, and every command was run or says what it needs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import COMMANDS
from gateway.models_file import SCHEMA
from tests.support.docs import MADE, made_anew
from tests.support.gateway import ROOT, Gateway

PAGES = sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
_BLOCK = re.compile(r"(?:<!-- needs: (?P<needs>[^>]*) -->\n)?```sh\n(?P<text>.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", list(MADE))
def test_what_is_made_from_the_code_is_up_to_date(page: str) -> None:
    assert (ROOT / page).read_text() == made_anew(page), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text()):
        assert target.startswith(("http://", "https://")) or (ROOT / page.parent / target).exists(), target


def test_every_page_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or str(page) in readme, page


def test_every_key_of_models_json_is_explained() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for key in SCHEMA["properties"]["models"]["items"]["properties"]:
        assert re.search(rf"^\| (`\w+`, )*`{key}`", text, re.MULTILINE), key


def test_every_command_is_named_in_the_docs() -> None:
    every = "".join((ROOT / page).read_text() for page in PAGES)
    for name in COMMANDS:
        assert name == "serve" or re.search(rf"`{name}|openai_proxy\.py {name}", every), name


SEEDS = """HOST_PORT BACKEND_URL BACKEND_TIMEOUT_SECS RUST_LOG ENABLE_LOG_VOLUME LOG_DIR ENABLE_CIRCUIT_BREAKER
CADDY_DOMAIN CADDY_PORT CADDY_TLS .env deploy.sh install_codex.sh install_claude_code.sh --port --log
--disable-auto-web-search --server-info --http-shutdown --upstream-url --dump-dir --github-oidc --bridge-to-chat"""


def test_every_setting_of_the_four_programs_is_told_of() -> None:
    text = (ROOT / "docs/coming-from.md").read_text()
    there = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    for name in SEEDS.split():
        assert re.search(rf"`{re.escape(name)}[ `]", there), name


def test_what_the_container_files_take_is_told() -> None:
    told = (ROOT / "docs/deployment.md").read_text() + (ROOT / "docs/configuration.md").read_text()
    for file in ("Caddyfile", "docker-compose.yml"):
        for name in re.findall(r"\$\{?\$?([A-Z_]{4,})", (ROOT / file).read_text()):
            assert f"`{name}`" in told, name


# --- commands -----------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """Yield page and text of every command that needs nothing, continued lines joined."""
    for page in PAGES:
        for block in _BLOCK.finditer((ROOT / page).read_text()):
            if block["needs"] or "your-key" in block["text"] or "http://GATEWAY" in block["text"]:
                continue  # texts for clients are run by the clients' own tests
            for line in block["text"].replace("\\\n", " ").splitlines():
                if line.strip() and not line.startswith("#"):
                    yield str(page), line


COMMANDS_OF_DOCS = list(commands())


@pytest.fixture(scope="module")
def demo() -> Iterator[Gateway]:
    with Gateway("http://127.0.0.1:9/v1", flags=["--demo"]) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("page", "line"), COMMANDS_OF_DOCS, ids=[f"{page}-{line[:40]}" for page, line in COMMANDS_OF_DOCS]
)
def test_a_command_works(page: str, line: str, demo: Gateway, tmp_path: Path) -> None:
    """Against the demo; what would serve, install or test is only planned (`make -n`)."""
    words = shlex.split(line.replace("$KEY", "any-key"), comments=True)
    program = next(word for word in words if "=" not in word)
    assert program in ("make", "python", "curl"), f"{page}: mark it with `<!-- needs: … -->`, or let this test run it"
    if program == "make":
        line = line.replace("make ", "make -n ", 1)
    line = line.replace("python ", f"{shlex.quote(sys.executable)} ", 1).replace("MODEL", "demo/assistant")
    line = line.replace("$KEY", "any-key").replace("localhost:5101", f"127.0.0.1:{demo.chat_port}")
    line = line.replace("localhost:5102", f"127.0.0.1:{demo.responses_port}").replace("curl ", "curl -sS --fail ", 1)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "BACKEND_URL": demo.chat_url,
        "CHAT_PORT": str(demo.chat_port),
        "RESPONSES_PORT": str(demo.responses_port),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    run = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout
