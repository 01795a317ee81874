"""Playing sessions on a real adapter in a process of its own, which may abort.

Run as ``python -m tests.simulated.conformance.child BACKEND``: it reads a
session a line (calls joined by ";"), answers each call with a line, and each
session with a line that says ``end``.  ``RealPlayer`` is the other side.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.simulated.conformance.calls import Call, parse_call
from tests.simulated.conformance.player import LIMITS, Player

_ROOT = Path(__file__).resolve().parents[3]
_MODULE = "tests.simulated.conformance.child"


class RealPlayer:
    """Plays sessions on the adapter of a wgpu backend, "Vulkan" or "OpenGL".

    A process that aborts is replaced; ``aborts`` counts them.
    """

    def __init__(self, backend: str) -> None:
        self.aborts = 0
        self._backend = backend
        self._process: subprocess.Popen[str] | None = None

    def play(self, calls: Iterable[Call]) -> list[str]:
        """What each call showed; the last is ``abort`` where the process ended there."""
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(";".join(map(str, calls)) + "\n")
        process.stdin.flush()
        shown: list[str] = []
        for line in process.stdout:
            if line == "end\n":
                return shown
            shown.append(line.rstrip("\n"))
        process.communicate()
        self._process = None
        self.aborts += 1
        return [*shown, "abort"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> "subprocess.Popen[str]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, self._backend],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        return self._process


def serve(backend: str) -> None:
    """Play what arrives on standard input until it ends."""
    adapter = _adapter(backend)
    for line in sys.stdin:
        device = adapter.request_device_sync(required_limits=LIMITS)
        player = Player(device, lambda: adapter.request_device_sync(required_limits=LIMITS))
        for shown in player.play(map(parse_call, line.strip().split(";"))):
            print(shown, flush=True)
        print("end", flush=True)


def _adapter(backend: str) -> Any:
    import wgpu.backends.wgpu_native  # noqa: F401 - loading it makes wgpu.gpu the real one
    from wgpu import gpu

    for adapter in gpu.enumerate_adapters_sync():
        if adapter.info["backend_type"] == backend:
            return adapter
    raise SystemExit(f"cannot play on {backend} because this machine has no such adapter")


if __name__ == "__main__":
    serve(sys.argv[1])
