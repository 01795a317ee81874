"""A command buffer is kept, to be submitted again in the next step."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> None:
    affine = Prepared(device)
    x = device.create_buffer(size=256, usage=STORAGE)
    commands = None
    for _ in range(3):
        if commands is None or mended:
            encoder = device.create_command_encoder()
            affine.record(encoder, (x, 0, 256))
            commands = encoder.finish()
        device.queue.submit([commands])
