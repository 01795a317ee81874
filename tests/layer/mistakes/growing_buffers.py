"""Every step makes a buffer for its result, and a history keeps them all."""

from typing import Any

from tests.layer.mistakes.parts import STORAGE, Prepared


def program(device: Any, mended: bool) -> Any:
    affine = Prepared(device)
    history: list[Any] = []
    for _ in range(80):
        result = device.create_buffer(size=256, usage=STORAGE)
        encoder = device.create_command_encoder()
        affine.record(encoder, (result, 0, 256))
        device.queue.submit([encoder.finish()])
        history.append(result)
        if mended and len(history) > 8:
            history.pop(0).destroy()
    return history
