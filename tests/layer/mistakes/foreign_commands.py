"""Commands are recorded on one device and submitted to another."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, other: Any, mended: bool) -> None:
    maker = device if mended else other
    x = maker.create_buffer(size=256, usage=STORAGE)
    encoder = maker.create_command_encoder()
    Prepared(maker).record(encoder, (x, 0, 256))
    device.queue.submit([encoder.finish()])
