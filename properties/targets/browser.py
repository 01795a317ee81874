"""Serves the runtime of a web page: passes lines of the judge to the page, and its answers back.

    python -m properties.targets.browser PAGE

``PAGE`` is an HTML file or an address.  It defines ``answer(line)``, which returns a promise of
the answer's lines, and runs in a Chromium without a window.  Nothing here knows what the lines
mean.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

from gpusim.errors import NoDevice

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--no-first-run",
    "--js-flags=--expose-gc",
)
_LOADING_SECONDS = 20.0
_IS_READY = "typeof globalThis.answer === 'function'"
_CHUNK_BYTES = 1 << 16
_CRASHES = ("Inspector.targetCrashed", "Target.targetCrashed")


class PageFailed(Exception):
    """The page or its browser failed; the process that runs ``main`` prints this and ends."""


class _Page:
    """A page in a browser, driven through two pipes (Chrome DevTools Protocol)."""

    def __init__(self, to_browser: int, from_browser: int, address: str) -> None:
        self._to, self._from = to_browser, from_browser
        self._calls = 0
        self._received = b""
        target = self._call("Target.createTarget", url=address)["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of its promise; PageFailed if it throws."""
        message = self._call(
            "Runtime.evaluate",
            session=self._session,
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        if "exceptionDetails" in message:
            thrown = message["exceptionDetails"]
            raise PageFailed(thrown.get("exception", {}).get("description") or thrown["text"])
        return message["result"].get("value")

    def _call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._calls:
            if answer.get("method") in _CRASHES:
                # No pending request will be answered.
                raise PageFailed("the page has crashed")
        if "error" in answer:
            raise PageFailed(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            chunk = os.read(self._from, _CHUNK_BYTES)
            if not chunk:
                raise PageFailed("the browser has ended")
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


@contextmanager
def _opened(address: str) -> Iterator[_Page]:
    """The page at ``address``, once it can answer; its browser ends with the block."""
    (in_browser, to_browser), (from_browser, out_browser) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="gpusim-browser-", ignore_cleanup_errors=True) as home:
        # The browser reads from its descriptor 3 and writes to 4.
        words = ["sh", "-c", f'exec "$@" 3<&{in_browser} 4>&{out_browser}', "sh"]
        words += [_browser(), *_FLAGS, f"--user-data-dir={home}"]
        # Chromium has no sandbox if root starts it.
        words += ["--no-sandbox"] if os.geteuid() == 0 else []
        quiet = subprocess.DEVNULL
        browser = subprocess.Popen(
            words, pass_fds=(in_browser, out_browser), stdin=quiet, stdout=quiet, stderr=quiet
        )
        os.close(in_browser)
        os.close(out_browser)
        try:
            page = _Page(to_browser, from_browser, address)
            _wait_until_ready(page, address)
            yield page
        finally:
            browser.kill()
            browser.wait()


def _wait_until_ready(page: _Page, address: str) -> None:
    until = time.monotonic() + _LOADING_SECONDS
    while not _is_ready(page):
        if time.monotonic() > until:
            raise NoDevice(
                f"cannot judge {address} because it defines no function 'answer' within "
                f"{_LOADING_SECONDS:g} s (probably it, or a script of it, failed to load)"
            )
        time.sleep(0.05)


def _is_ready(page: _Page) -> bool:
    try:
        return bool(page.evaluate(_IS_READY))
    except PageFailed:
        # A page cannot be asked while it loads; if its address does not respond, it never loads.
        return False


def _browser() -> str:
    if os.name == "nt":
        raise NoDevice(
            "cannot judge a page on Windows because the browser is driven through inherited "
            "pipes (probably the runtime can be judged under Node instead)"
        )
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise NoDevice(
            "cannot judge a page because no Chromium is on the PATH "
            f"(probably one of {', '.join(_BROWSERS)} is to be installed)"
        )
    return found


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without logging."""

    def log_message(self, *_: Any) -> None:
        """See ``BaseHTTPRequestHandler``."""


@contextmanager
def _address_of(page: str) -> Iterator[str]:
    """An http address of the page, since modules do not load from files.

    A file is served from the current folder or, if it lies outside, from its own folder.
    """
    if "://" in page:
        yield page
        return
    name, mark, query = page.partition("?")
    path, here = Path(name).resolve(), Path.cwd()
    if not path.is_file():
        raise NoDevice(
            f"cannot judge {page} because there is no file {name} (probably a misspelled path, or "
            "an address without its http://)"
        )
    folder = here if path.is_relative_to(here) else path.parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = quote(path.relative_to(folder).as_posix())
        yield f"http://127.0.0.1:{server.server_port}/{place}{mark}{query}"
        server.shutdown()


def main(page: str) -> None:
    """Answer each line of the input until it ends."""
    with _address_of(page) as address, _opened(address) as opened:
        for line in sys.stdin:
            print(_answered(opened, line), flush=True)


def _answered(page: _Page, line: str) -> str:
    answer = page.evaluate(f"answer({json.dumps(line)})")
    if not isinstance(answer, str):
        raise PageFailed(
            f"answer({line.split()[0]!r} ...) gave {json.dumps(answer)}, not a promise of a string"
        )
    return answer


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (NoDevice, PageFailed) as error:
        sys.exit(str(error))
