"""A real headless Chromium, driven over a pair of pipes with the DevTools protocol; no driver, no library.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:5102/")
        page.wait_for("document.querySelectorAll('#models tr').length > 0")
        page.run("document.querySelector('#send').click()")

Where Chromium is missing a test is skipped, except in CI, where that is a failure.
Reference: Chrome DevTools Protocol, domains Target, Page, Runtime, Network, Emulation, Log.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

JSON = dict[str, Any]

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root in a container has none to offer
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-pipe",
)
_WAIT_SECS = 20.0


def chromium() -> str:
    """Return the path of the browser; else skip the test, or fail it in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("Chromium is not installed")
    pytest.skip("Chromium is not installed")


class Browser:
    """One running browser with a profile of its own; a context manager."""

    def __init__(self) -> None:
        binary = chromium()
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        command_end, self._commands = os.pipe()
        self._answers, answer_end = os.pipe()
        shell = f'exec "$0" "$@" 3<&{command_end} 4>&{answer_end}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, binary, *_FLAGS, f"--user-data-dir={self._profile.name}"],
            pass_fds=(command_end, answer_end),
            env={"PATH": os.environ["PATH"], "HOME": self._profile.name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(command_end)
        os.close(answer_end)
        self._number = 0
        self._results: queue.Queue[JSON] = queue.Queue()
        self.events: list[JSON] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._reader.join(5)
        os.close(self._commands)
        os.close(self._answers)
        self._profile.cleanup()

    def open(self, url: str, *, width: int = 1200, height: int = 900, phone: bool = False) -> Page:
        """Open a page in a window of this size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Page.navigate", url=url)
        page.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> JSON:
        """Send one command and return its result. Raises: AssertionError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._results.get(timeout=_WAIT_SECS)
            if answer["id"] == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                data = os.read(self._answers, 1 << 20)
            except OSError:
                return
            if not data:
                return
            *messages, rest = (rest + data).split(b"\0")
            for raw in messages:
                message = json.loads(raw)
                if "id" in message:
                    self._results.put(message)
                else:
                    self.events.append(message)


class Page:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **params: Any) -> JSON:
        """Send a command to this page."""
        return self._browser.call(method, self._session, **params)

    def run(self, expression: str) -> Any:
        """Return the value of a script's expression. Raises: AssertionError where it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = _WAIT_SECS) -> None:
        """Wait until an expression is true. Raises: AssertionError."""
        ends = time.monotonic() + seconds
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < ends, f"never true: {expression}\n{self.run('document.body.innerText')}"
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Return the text that an element shows."""
        return str(self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Click an element."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        """Put text into a field, as a person leaving it would."""
        at = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{at}.value = {json.dumps(text)}")
        for kind in ("input", "change"):
            self.run(f"{at}.dispatchEvent(new Event('{kind}', {{bubbles: true}}))")

    def events(self, method: str) -> list[JSON]:
        """Return the parameters of the events of one kind that this page has sent."""
        return [
            event["params"]
            for event in list(self._browser.events)
            if event["method"] == method and event.get("sessionId") == self._session
        ]

    @property
    def requested(self) -> list[str]:
        """The addresses that the page has asked for."""
        return [event["request"]["url"] for event in self.events("Network.requestWillBeSent")]

    @property
    def complaints(self) -> list[str]:
        """What the browser wrote to its console: blocked scripts, failed requests, exceptions."""
        logged = [event["entry"]["text"] for event in self.events("Log.entryAdded")]
        return logged + [str(event["exceptionDetails"]) for event in self.events("Runtime.exceptionThrown")]

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(picture["data"]))
