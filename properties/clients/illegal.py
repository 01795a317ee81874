"""Illegal calls on a device, one row each: the call in words, as a function, and its error.

A row calls a device, ``at.device``, over a buffer of each kind of a walk.  wgpu-native ends the
process at some of these calls, so only simulated devices get them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from wgpu import BufferUsage, GPUValidationError

Row = tuple[str, Callable[[Any], object], type[Exception]]


def _encoded(at: Any, record: Callable[[Any], object]) -> Any:
    encoder = at.device.create_command_encoder()
    record(encoder)
    return encoder.finish()


def _copy(at: Any, *copied: Any) -> Any:
    return _encoded(at, lambda encoder: encoder.copy_buffer_to_buffer(*copied))


def _dispatch_of_nothing(at: Any) -> None:
    def record(encoder: Any) -> None:
        begun = encoder.begin_compute_pass()
        begun.dispatch_workgroups(1)
        begun.end()

    _encoded(at, record)


def _while_mapped(at: Any, call: Callable[[], object]) -> None:
    at.upload.map_sync("WRITE")
    try:
        call()
    finally:
        at.upload.unmap()


def _submit_twice(at: Any) -> None:
    command_buffer = _encoded(at, lambda encoder: None)
    for _ in range(2):
        at.device.queue.submit([command_buffer])


def _use_destroyed(at: Any) -> None:
    gone = at.device.create_buffer(size=16, usage=BufferUsage.COPY_DST)
    cleared = _encoded(at, lambda encoder: encoder.clear_buffer(gone))
    gone.destroy()
    at.device.queue.submit([cleared])


def _make(at: Any, size: int, usage: int) -> None:
    at.device.create_buffer(size=size, usage=usage).destroy()


_STORAGE, _MAPPED = BufferUsage.STORAGE, BufferUsage.MAP_READ
_INVALID: Sequence[tuple[str, Callable[[Any], object]]] = (
    (
        "a buffer larger than the largest",
        lambda at: _make(at, at.device.limits["max-buffer-size"] + 4, _STORAGE),
    ),
    ("a buffer without a usage", lambda at: _make(at, 4, 0)),
    ("a storage buffer that can be mapped", lambda at: _make(at, 4, _STORAGE | _MAPPED)),
    ("a write of half a word", lambda at: at.device.queue.write_buffer(at.storage, 0, b"ab")),
    ("a write without COPY_DST", lambda at: at.device.queue.write_buffer(at.upload, 0, b"abcd")),
    (
        "a submit over a mapped buffer",
        lambda at: _while_mapped(
            at, lambda: at.device.queue.submit([_copy(at, at.upload, 0, at.storage, 0, 4)])
        ),
    ),
    ("a submit over a destroyed buffer", _use_destroyed),
    ("a second submit of one command buffer", _submit_twice),
    ("a copy within a buffer", lambda at: _copy(at, at.storage, 0, at.storage, 4, 4)),
    (
        "a copy past the end of a buffer",
        lambda at: _copy(at, at.upload, 4, at.storage, 0, at.upload.size),
    ),
    ("a copy without COPY_SRC", lambda at: _copy(at, at.download, 0, at.storage, 0, 4)),
    ("a dispatch without a pipeline", _dispatch_of_nothing),
)
ILLEGAL: Sequence[Row] = (
    *[(told, call, GPUValidationError) for told, call in _INVALID],
    (
        "a write past the end",
        lambda at: at.device.queue.write_buffer(at.storage, 4, bytes(at.storage.size)),
        ValueError,
    ),
    ("a map at half a step", lambda at: at.download.map_sync("READ", 4, 4), ValueError),
    ("a map past the end", lambda at: at.upload.map_sync("WRITE", 8, at.upload.size), ValueError),
    (
        "a map of a mapped buffer",
        lambda at: _while_mapped(at, lambda: at.upload.map_sync("WRITE")),
        RuntimeError,
    ),
    ("a look at what is not mapped", lambda at: at.download.read_mapped(), RuntimeError),
)
