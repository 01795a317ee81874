"""An array over mapped memory is kept, and the memory is given back."""

from typing import Any

import numpy as np

from tests.layer.mistakes.parts import STAGING


def program(device: Any, mended: bool) -> None:
    staging = device.create_buffer(size=256, usage=STAGING)
    kept = []
    for _ in range(2):
        staging.map_sync("READ")
        words = np.frombuffer(staging.read_mapped(copy=False), np.uint32)
        kept.append(words.copy() if mended else words)
        del words
        staging.unmap()
    print(len(kept))
