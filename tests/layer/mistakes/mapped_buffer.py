"""A staging buffer is filled again while the host still reads it."""

from typing import Any

from tests.layer.mistakes.parts import STAGING, STORAGE


def program(device: Any, mended: bool) -> None:
    x = device.create_buffer(size=256, usage=STORAGE)
    staging = device.create_buffer(size=256, usage=STAGING)
    for _ in range(2):
        encoder = device.create_command_encoder()
        encoder.copy_buffer_to_buffer(x, 0, staging, 0, 256)
        device.queue.submit([encoder.finish()])
        staging.map_sync("READ")
        print(bytes(staging.read_mapped())[:4])
        if mended:
            staging.unmap()
