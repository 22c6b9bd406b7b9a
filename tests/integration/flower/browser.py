"""A real browser: Debian's Chromium without a screen, driven by W3C WebDriver (https://www.w3.org/TR/webdriver2/).

WebDriver is JSON over HTTP, and a page that is opened, read and clicked takes five of its commands: no client library
is worth its weight here.
"""

from __future__ import annotations

import base64
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.cluster.packages import install_missing, program
from tests.integration.servers import Process, free_port

PACKAGES = {
    "chromedriver": "chromium-driver",
    "chromium": "chromium",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf": "fonts-liberation",  # else a page has no letters
}
"""What the browser needs: program or file -> Debian package."""

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root, and containers, can have no other
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
)
_TIMEOUT = 60.0
"""Seconds for one command; opening a page is one, and a busy machine starts a browser slowly."""


class Browser(Process):
    """One window of one browser, with a profile of its own. Commands that fail raise AssertionError with their text."""

    def __init__(self, *, folder: Path, width: int = 1920, height: int = 560) -> None:
        super().__init__(name="chromedriver", folder=folder)
        self._size = f"--window-size={width},{height}"
        self._port = free_port()
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=_TIMEOUT, trust_env=False)
        self._session = ""

    def start(self) -> Self:
        """Start driver and browser."""
        install_missing(PACKAGES)
        self.launch([program("chromedriver"), f"--port={self._port}"])
        self.wait_ready(self._answers, timeout=_TIMEOUT)
        profile = f"--user-data-dir={self.folder / 'profile'}"
        chrome = {"binary": program("chromium"), "args": [*_OPTIONS, self._size, profile]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": chrome}
        made = self._command("POST", "/session", capabilities={"alwaysMatch": wanted})
        self._session = f"/session/{made['sessionId']}"
        return self

    def open(self, url: str) -> None:
        """Open a page; its own requests may still be on their way."""
        self._command("POST", f"{self._session}/url", url=url)

    def click(self, link: str) -> None:
        """Click the link that people see under this text."""
        found = self._command("POST", f"{self._session}/element", using="link text", value=link)
        (element,) = found.values()
        self._command("POST", f"{self._session}/element/{element}/click")

    def rows(self) -> list[str]:
        """The rows of the page's tables as they are shown."""
        script = "return Array.from(document.querySelectorAll('tbody tr'), row => row.innerText)"
        return list(self._command("POST", f"{self._session}/execute/sync", script=script, args=[]))

    def screenshot(self) -> bytes:
        """What the window shows, as PNG."""
        return base64.b64decode(self._command("GET", f"{self._session}/screenshot"))

    def stop(self, *, timeout: float = 20.0) -> None:
        """Close the browser, then end its driver."""
        if self._session and self.running:
            self._command("DELETE", self._session)
            self._session = ""
        self._http.close()
        super().stop(timeout=timeout)

    def _answers(self) -> bool:
        try:
            return bool(self._http.get("/status").json()["value"]["ready"])
        except httpx.TransportError:
            return False

    def _command(self, method: str, path: str, **words: Any) -> Any:
        answer = self._http.request(method, path, json=words if method == "POST" else None)
        assert answer.is_success, f"{method} {path}: {answer.text}\n{self.log_tail()}"
        return answer.json()["value"]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
