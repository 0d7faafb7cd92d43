"""Chromium without a window, driven over the WebDriver protocol with the standard library."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_PORT = 9517


class Browser:
    """A page in Chromium. Sizes are in pixels."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, page: Path) -> None:
        _call("POST", f"{self._session}/url", {"url": page.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that JavaScript returns."""
        body = {"script": script, "args": arguments}
        return _call("POST", f"{self._session}/execute/sync", body)

    def wait(self, script: str) -> Any:
        """The value that JavaScript hands to its last argument, a function."""
        return _call("POST", f"{self._session}/execute/async", {"script": script, "args": []})

    def press(self, selector: str, *keys: str) -> None:
        """Focus an element and press keys there."""
        self.run("document.querySelector(arguments[0]).focus()", selector)
        pressed = [{"type": kind, "value": k} for k in keys for kind in ("keyDown", "keyUp")]
        actions = [{"type": "key", "id": "keyboard", "actions": pressed}]
        _call("POST", f"{self._session}/actions", {"actions": actions})

    def click(self, selector: str) -> None:
        found = _call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": selector}
        )
        _call("POST", f"{self._session}/element/{found[_ELEMENT]}/click", {})

    def devtools(self, command: str, **parameters: Any) -> Any:
        body = {"cmd": command, "params": parameters}
        return _call("POST", f"{self._session}/goog/cdp/execute", body)

    def resize(self, width: int, height: int) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.devtools("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def print(self, path: Path) -> None:
        pdf = _call("POST", f"{self._session}/print", {"background": True})
        path.write_bytes(base64.b64decode(pdf))

    def complaints(self) -> list[str]:
        """What the console has had since the last call."""
        found = _call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in found]


@contextmanager
def browser() -> Iterator[Browser]:
    driver = subprocess.Popen(["chromedriver", f"--port={_PORT}"], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    while b"started successfully" not in driver.stdout.readline():
        assert driver.poll() is None, "chromedriver does not start"
    try:
        with tempfile.TemporaryDirectory() as profile:
            arguments = [*_ARGUMENTS, f"--user-data-dir={profile}"]
            wanted = {
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            url = f"http://127.0.0.1:{_PORT}/session"
            made = _call("POST", url, {"capabilities": {"alwaysMatch": wanted}})
            session = f"{url}/{made['sessionId']}"
            yield Browser(session)
            _call("DELETE", session)
    finally:
        driver.terminate()
        driver.wait()


def _call(method: str, url: str, body: Any = None) -> Any:
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"Content-Type": "application/json"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=120) as answer:
        return json.loads(answer.read())["value"]
