"""The device is destroyed before the last commands are submitted."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    x = device.create_buffer(size=256, usage=STORAGE)
    encoder = device.create_command_encoder()
    Prepared(device).record(encoder, (x, 0, 256))
    commands = encoder.finish()
    if not mended:
        device.destroy()
    device.queue.submit([commands])
    if mended:
        device.queue.read_buffer(x)
        device.destroy()
