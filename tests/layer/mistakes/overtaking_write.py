"""A batch is gathered, and the host overwrites its input before it is submitted."""

from typing import Any

import numpy as np

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    affine = Prepared(device)
    x = device.create_buffer(size=256, usage=STORAGE)
    device.queue.write_buffer(x, 0, np.arange(64, dtype=np.uint32))
    encoder = device.create_command_encoder()
    affine.record(encoder, (x, 0, 256))
    if mended:
        device.queue.submit([encoder.finish()])
        encoder = device.create_command_encoder()
    device.queue.write_buffer(x, 16, np.zeros(4, np.uint32))
    affine.record(encoder, (x, 0, 256))
    device.queue.submit([encoder.finish()])
