"""The host clears a staging buffer while its map is pending."""

from typing import Any

from tests.layer.mistakes.parts import STAGING


def program(device: Any, mended: bool) -> None:
    staging = device.create_buffer(size=256, usage=STAGING)
    promise = staging.map_async("READ")
    if not mended:
        device.queue.write_buffer(staging, 0, bytes(256))
    promise.sync_wait()
    print(bytes(staging.read_mapped())[:4])
    staging.unmap()
    device.queue.write_buffer(staging, 0, bytes(256))
