"""A buffer is given back when its last use is recorded, which is too early."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    x = device.create_buffer(size=256, usage=STORAGE)
    encoder = device.create_command_encoder()
    Prepared(device).record(encoder, (x, 0, 256))
    commands = encoder.finish()
    if not mended:
        x.destroy()
    device.queue.submit([commands])
    x.destroy()
