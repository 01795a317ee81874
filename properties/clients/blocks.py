"""The buffers of a walk over a device, each with the bytes that it must hold."""

from typing import Any

import numpy as np

from properties.clients.client import BrokenPromise

_MOST_TOLD = 6


class Block:
    """A buffer, and the bytes that it must hold."""

    def __init__(self, kind: str, native: Any) -> None:
        self.kind = kind
        self.native = native
        self.bytes = np.zeros(native.size, np.uint8)
        self.group: Any = None
        self._calls: list[str] = []

    def put(self, start: int, data: Any, said: str) -> None:
        """Note that a call, ``said`` in words, writes ``data`` from ``start`` on."""
        self.bytes[start : start + len(data)] = data
        self._calls.append(said)

    def compare(self, shown: Any, start: int, size: int) -> None:
        """Compare bytes that the device has shown.  BrokenPromise if they are wrong."""
        got, meant = bytes(shown), self.bytes[start : start + size].tobytes()
        if got == meant:
            return
        pairs = zip(got, meant, strict=False)
        wrong = next((at for at, (one, other) in enumerate(pairs) if one != other), len(meant))
        at, shows = start + wrong, got[wrong : wrong + 1].hex() or "missing"
        calls = ", ".join(self._calls[-_MOST_TOLD:]) or "nothing"
        raise BrokenPromise(
            f"byte {at} of a buffer for {self.kind}, of {self.bytes.size} bytes, must be "
            f"{meant[wrong : wrong + 1].hex()}, and is {shows}; the last calls that wrote the "
            f"buffer are {calls}"
        )
