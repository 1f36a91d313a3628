"""Headless Chromium, driven by its DevTools protocol."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


def wait_for(found: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of `found`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


class Chromium:
    """A browser; each page is a user of its own."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.numbers = socket, count(1)

    def send(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, url: str, downloads: Path) -> "Page":
        """A new page, with cookies and downloads of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send(
            "Target.createTarget", url=url, browserContextId=context, newWindow=True
        )["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Browser.setDownloadBehavior", behavior="allow", browserContextId=context,
                  downloadPath=str(downloads))  # fmt: skip
        self.send("Emulation.setFocusEmulationEnabled", session, enabled=True)
        return Page(self, session)


class Page:
    """A page of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser, self.session = browser, session

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command to this page."""
        return self.browser.send(method, self.session, **params)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def wait(self, script: str) -> Any:
        """The first true value of an expression."""
        try:
            return wait_for(lambda: self.run(script), script)
        except AssertionError as error:
            shown = self.run("document.body.innerText")
            raise AssertionError(f"{error}; the page says: {shown}") from None

    def settle(self) -> None:
        """Wait until the page loads nothing any more: starting up, it empties its fields."""
        counts = [0]

        def quiet() -> bool:
            time.sleep(0.7)
            counts.append(self.run("performance.getEntriesByType('resource').length"))
            return 0 < counts[-2] == counts[-1]

        wait_for(quiet, "the page to settle")

    def type(self, selector: str, text: str) -> None:
        """Replace what stands in a field."""
        field, event = (
            f"document.querySelector({selector!r})",
            "new Event('input', {bubbles: true})",
        )
        self.run(f"{field}.value = {json.dumps(text)}; {field}.dispatchEvent({event})")

    def click(self, selector: str) -> None:
        """Click on an element."""
        self.wait(f"Boolean(document.querySelector({selector!r}))")
        self.run(f"document.querySelector({selector!r}).click()")

    def upload(self, selector: str, path: Path) -> None:
        """Choose a file in a file field."""
        expression = f"document.querySelector({selector!r})"
        field = self.send("Runtime.evaluate", expression=expression)["result"]["objectId"]
        self.send("DOM.setFileInputFiles", files=[str(path)], objectId=field)


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """A browser with its profile in a folder, which reaches this machine alone."""
    from websockets.sync.client import connect

    assert PROGRAM
    command = [
        PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
        "--disable-background-timer-throttling", "--window-size=1280,1000",
        "--remote-debugging-port=0", f"--user-data-dir={folder}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            port = folder / "DevToolsActivePort"
            wait_for(lambda: port.exists() and port.read_text().count("\n"), "Chromium")
            number, path = port.read_text().split()
            with connect(f"ws://127.0.0.1:{number}{path}", max_size=None) as socket:
                yield Chromium(socket)
        finally:
            child.terminate()
