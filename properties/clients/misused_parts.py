"""Misuses of parts of buffers, one row each, in the form of the rows of ``misuses``."""

from typing import Any

from gpusim import InvalidBinding, InvalidHandle, OutOfRange
from gpusim.kernels import AFFINE
from gpusim.runtime import BufferPart
from properties.clients.forbidden import Row


def _known(at: Any) -> BufferPart:
    """A part over which the runtime has planned a dispatch; it may have kept the plan."""
    part: BufferPart = at.x.part(0, 16)
    with at.runtime.capture():
        at.runtime.dispatch(AFFINE, [part], (3, 1))
    return part


def _over_its_fields(at: Any) -> None:
    at.runtime.dispatch(AFFINE, [tuple(_known(at))], (3, 1))


def _over_floats(at: Any) -> None:
    buffer, offset, size_bytes = _known(at)
    part = BufferPart(buffer, float(offset), float(size_bytes))  # type: ignore[arg-type]
    at.runtime.dispatch(AFFINE, [part], (3, 1))


def _over_a_part_of(at: Any) -> None:
    at.runtime.dispatch(AFFINE, [BufferPart(_known(at), 0, 16)], (3, 1))  # type: ignore[arg-type]


PARTS: list[Row] = [
    ("a part from a bool on", lambda at: at.x.part(True), OutOfRange, "offset=True"),
    ("a part of a bool of bytes", lambda at: at.x.part(0, True), OutOfRange, "size_bytes=True"),
    ("a part of floats", _over_floats, OutOfRange, "offset=0.0, size_bytes=16.0"),
    ("the fields of a part", _over_its_fields, InvalidHandle, "type tuple"),
    ("a part of a part", _over_a_part_of, InvalidHandle, "type BufferPart"),
    (
        "a part in a buffer's place",
        lambda at: at.graph.replay(None, {at.x: at.y.part(0, 16)}),
        InvalidHandle,
        "only a buffer replaces a buffer",
    ),
    (
        "a part as the one replaced",
        lambda at: at.graph.replay(None, {at.x.part(0, 16): at.y}),
        InvalidBinding,
        "the graph does not use",
    ),
]
