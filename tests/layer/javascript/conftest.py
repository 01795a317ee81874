"""Where the runtimes in JavaScript run: under Node, and in Chromium."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the checkout is served, since modules do not load from files."""
    handler = partial(_Quiet, directory=str(ROOT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{FOLDER.relative_to(ROOT)}"
        server.shutdown()


@pytest.fixture(params=["node", "chromium"])
def place(request: pytest.FixtureRequest, address: str) -> str:
    """The target of a runtime, with its name and its side to be filled in."""
    if request.param == "node":
        return f"exec:node {FOLDER / 'node.mjs'} {{}} {{}}"
    return f"browser:{address}/page.html?{{}},{{}}"
