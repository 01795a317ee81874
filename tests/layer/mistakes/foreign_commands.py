"""Commands are recorded on one device and submitted to another."""

from typing import Any

import wgpu

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    other = device.adapter.request_device_sync()
    maker = device if mended else other
    x = maker.create_buffer(size=256, usage=STORAGE)
    encoder = maker.create_command_encoder()
    Prepared(maker).record(encoder, (x, 0, 256))
    try:
        device.queue.submit([encoder.finish()])
    except wgpu.GPUValidationError:
        print("refused")
