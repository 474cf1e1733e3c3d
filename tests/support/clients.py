"""Real clients as subprocesses: Codex and Claude Code, each with an empty home of its own and a dummy key.

They come from `.clients`, which `make clients` fills with the versions that tests/clients/package.json pins.
Where they are missing a test is skipped, except in CI, where that is a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import ROOT

JSON = dict[str, Any]

MODULES = ROOT / ".clients" / "node_modules"
PINS = ROOT / "tests" / "clients" / "package.json"
MCP_SERVER = ROOT / "tests" / "support" / "mcp_server.py"
KEY = "dummy-client-key-0123456789"


@dataclass(frozen=True)
class Run:
    """What a client printed and how it ended."""

    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-4000:]}"

    @property
    def events(self) -> list[JSON]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]


def client_binary(package: str, name: str) -> str:
    """Return the path of an installed client at its pinned version; else skip the test, or fail it in CI."""
    return str(client_library(package) / ".bin" / name)


def client_library(*packages: str) -> Path:
    """Return the folder of packages that are installed at their pinned versions; else skip, or fail in CI."""
    for package in packages:
        pinned = json.loads(PINS.read_text())["dependencies"][package]
        manifest = MODULES / package / "package.json"
        found = json.loads(manifest.read_text())["version"] if manifest.exists() else "none"
        if found != pinned:
            reason = f"{package} {pinned} is not installed (found: {found}); run `make clients`"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return MODULES


def run_client(command: Sequence[str], env: Mapping[str, str], folder: Path, timeout: float) -> Run:
    """Run a client to its end; on a timeout end it with all its children. Raises: AssertionError."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        stdout, stderr = process.communicate()
        late = Run(-1, stdout, stderr)
        raise AssertionError(f"{command[0]} did not end within {timeout} s: {late}") from None
    _end(process)
    return Run(process.returncode, stdout, stderr)


def _end(process: subprocess.Popen[str]) -> None:
    """End what a client left running: its process group is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


# --- Codex --------------------------------------------------------------------------------------------------


class Codex:
    """Codex with its own home, working in `work`."""

    def __init__(self, folder: Path, base_url: str, model: str) -> None:
        self.binary = client_binary("@openai/codex", "codex")
        self.home = folder / "home"
        self.work = folder / "work"
        (self.home / ".codex").mkdir(parents=True)
        self.work.mkdir()
        self.settings: JSON = {"model": model, "model_provider": "gateway"}
        """Top level of config.toml."""
        self.provider: JSON = {
            "name": "Gateway",
            "base_url": base_url,
            "model_catalog_url": f"{base_url}/models",
            "env_key": "GATEWAY_API_KEY",
            "wire_api": "responses",
        }
        self.tables: dict[str, JSON] = {}
        """Further tables of config.toml by their dotted names."""

    def add_mcp_server(self, calls: Path) -> None:
        """Offer the tools of the test's MCP server; it notes its calls in a file."""
        self.tables["mcp_servers.probe"] = {"command": sys.executable, "args": [str(MCP_SERVER)]}
        self.tables["mcp_servers.probe.env"] = {"MCP_CALLS": str(calls)}

    def exec(self, *arguments: str, timeout: float = 60.0) -> Run:
        """Run `codex exec` with the given arguments, the prompt among them."""
        (self.home / ".codex" / "config.toml").write_text(self._config())
        # Root in a container has no sandbox to offer, and the folder is no repository.
        flags = ["--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check", "--json"]
        return run_client([self.binary, "exec", *flags, *arguments], self._env(), self.work, timeout)

    def _config(self) -> str:
        tables = {"": self.settings, "model_providers.gateway": self.provider, **self.tables}
        return "\n".join(_toml_table(name, table) for name, table in tables.items())

    def _env(self) -> dict[str, str]:
        return {"HOME": str(self.home), "CODEX_HOME": str(self.home / ".codex"), "GATEWAY_API_KEY": KEY}


def codex_text(run: Run) -> str:
    """Return the last message that Codex shows."""
    texts = [event["item"]["text"] for event in _completed(run) if event["item"]["type"] == "agent_message"]
    return texts[-1] if texts else ""


def codex_commands(run: Run) -> list[JSON]:
    """Return the shell commands that Codex ran, as its items."""
    return [event["item"] for event in _completed(run) if event["item"]["type"] == "command_execution"]


def codex_errors(run: Run) -> str:
    """Return every error text that Codex shows, warnings included."""
    shown = [event.get("message", "") for event in run.events if event["type"] == "error"]
    shown += [event["error"]["message"] for event in run.events if event["type"] == "turn.failed"]
    shown += [event["item"]["message"] for event in _completed(run) if event["item"]["type"] == "error"]
    return "\n".join(shown)


def _completed(run: Run) -> list[JSON]:
    return [event for event in run.events if event["type"] == "item.completed"]


def _toml_table(name: str, values: JSON) -> str:
    """Write one table; JSON's spelling of strings, numbers, booleans and lists is also TOML's."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join([*([f"[{name}]"] if name else []), *lines, ""])


# --- Claude Code --------------------------------------------------------------------------------------------


class Claude:
    """Claude Code with its own home, working in `work`."""

    def __init__(self, folder: Path, base_url: str, model: str) -> None:
        self.binary = client_binary("@anthropic-ai/claude-code", "claude")
        self.home = folder / "home"
        self.work = folder / "work"
        self.home.mkdir()
        self.work.mkdir()
        self.model = model
        self.env: dict[str, str] = {
            "HOME": str(self.home),
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_API_KEY": KEY,
            # Nothing but the conversation leaves, and failures stay short.
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "2",
            # Root may skip the permission prompts only in a sandbox.
            "IS_SANDBOX": "1",
        }

    def mcp_flags(self, calls: Path) -> list[str]:
        """Return the flags that offer the tools of the test's MCP server; it notes its calls in a file."""
        server = {"command": sys.executable, "args": [str(MCP_SERVER)], "env": {"MCP_CALLS": str(calls)}}
        return ["--mcp-config", json.dumps({"mcpServers": {"probe": server}}), "--strict-mcp-config"]

    def ask(self, prompt: str, *flags: str, timeout: float = 60.0) -> Run:
        """Run one prompt; the answer is the JSON object on standard output."""
        options = ["--model", self.model, "--output-format", "json", "--dangerously-skip-permissions"]
        return run_client([self.binary, "-p", prompt, *options, *flags], self.env, self.work, timeout)


def claude_result(run: Run) -> JSON:
    """Return the result object of a run. Raises: AssertionError where there is none."""
    results = [event for event in run.events if event.get("type") == "result"]
    assert results, str(run)
    return results[-1]


# --- material -----------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """Return a red picture."""
    rows = b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height))

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
