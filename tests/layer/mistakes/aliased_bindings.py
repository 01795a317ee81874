"""A kernel exchanges the words of two parts of one buffer, and the parts overlap."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    x = device.create_buffer(size=1024, usage=STORAGE)
    encoder = device.create_command_encoder()
    second = 512 if mended else 256
    Prepared(device, "exchange", (1,)).record(encoder, (x, 0, 512), (x, second, 512))
    device.queue.submit([encoder.finish()])
