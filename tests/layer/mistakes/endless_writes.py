"""A status of 1 MiB is written in every step, and nothing is ever submitted."""

from typing import Any

import numpy as np

from tests.layer.mistakes.parts import STORAGE


def program(device: Any, mended: bool) -> None:
    status = device.create_buffer(size=1 << 20, usage=STORAGE)
    words = np.zeros(1 << 18, np.uint32)
    for step in range(100):
        words[:] = step
        device.queue.write_buffer(status, 0, words)
        if mended and step % 10 == 9:
            device.queue.submit([])
    device.queue.read_buffer(status)
