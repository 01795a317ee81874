"""One copy of a batch passes the end of its buffer, and the whole batch is lost."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    affine = Prepared(device)
    x = device.create_buffer(size=256, usage=STORAGE)
    y = device.create_buffer(size=256, usage=STORAGE)
    encoder = device.create_command_encoder()
    affine.record(encoder, (x, 0, 256))
    encoder.copy_buffer_to_buffer(x, 0, y, 64, 192 if mended else 256)
    affine.record(encoder, (y, 0, 256))
    device.queue.submit([encoder.finish()])
