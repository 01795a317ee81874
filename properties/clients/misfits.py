"""Misuses whose arguments do not fit each other, in rows like those of ``misuses``.

A read's dtype, shape or array does not fit its bytes, a scalar does not fit its type, or the end of
an op does not fit the type of its offset.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from gpusim import InvalidData, InvalidScalar, OutOfRange
from gpusim.kernels import AFFINE, BLEND
from properties.clients.forbidden import Row

_NOT_OF_BYTES: Sequence[tuple[int, dict[str, Any], int]] = (
    (6, {"dtype": "u32"}, 4),
    (5, {"dtype": "u2"}, 4),
    (12, {"dtype": "c8"}, 8),
    (8, {"shape": (2,)}, 2),
    (8, {"shape": 3}, 3),
    (8, {"shape": (3, 3)}, 9),
    (12, {"dtype": "u4", "shape": 2}, 8),
    (12, {"dtype": "u4", "shape": (2, 2)}, 16),
    (8, {"dtype": "f4", "shape": ()}, 4),
    (16, {"dtype": "u4", "shape": (16,)}, 64),
)
"""For each read its bytes, its form, and how many bytes an array of that form has."""


_NO_PLACE: Sequence[tuple[str, dict[str, Any], str]] = (
    ("a bytearray that is too short", {"out": bytearray(12)}, "of that size .*bytearray"),
    ("a bytearray that is too long", {"out": bytearray(20)}, "of that size .*bytearray"),
    ("as many words as bytes", {"out": np.zeros(16, "u4")}, "of that size .*ndarray"),
    ("bytes", {"out": bytes(16)}, "writable"),
    ("every second word", {"out": np.zeros(8, "u4")[::2]}, "contiguous"),
    ("columns", {"out": np.zeros((2, 2), "u4").T}, "contiguous"),
    ("an array, with a dtype", {"out": np.zeros(4, "u4"), "dtype": "u4"}, "out has its own"),
    ("an array, with a shape", {"out": np.zeros(4, "u4"), "shape": 4}, "out has its own"),
)
"""What a read of 16 bytes shall not fill, the form of the read, and what the message says."""
_NO_F32: Sequence[Any] = (np.float64(1e39), np.float64("-inf"), np.float32("nan"), np.array(1.5))
_NO_U32: Sequence[Any] = (np.int64(1 << 32), np.int64(-1), np.float32(1), np.True_)
"""Objects of NumPy that are no value of a scalar of that type."""


def _past_the_last(dtype: Any) -> Iterator[Row]:
    """Ops over eight bytes at the last multiple of 4 that a type of NumPy holds.

    The end of such an op does not fit into the type.
    """
    first, size_bytes = dtype(np.iinfo(dtype).max - 3), dtype(8)
    says = f"8 bytes at offset {first} "
    calls: dict[str, Callable[[Any], object]] = {
        "a read": lambda at: at.runtime.read(at.x, first, size_bytes),
        "a write": lambda at: at.runtime.write(at.x, bytes(8), first),
        "a copy": lambda at: at.runtime.copy(
            at.x, at.y, source_offset=first, size_bytes=size_bytes
        ),
        "a copy to": lambda at: at.runtime.copy(
            at.x, at.y, target_offset=first, size_bytes=size_bytes
        ),
    }
    for name, call in calls.items():
        yield f"{name} whose end passes NumPy's last {dtype.__name__}", call, OutOfRange, says


def _read(at: Any, size_bytes: int, form: dict[str, Any]) -> None:
    at.runtime.read(at.x, 0, size_bytes, **form)


def _blend(at: Any, value: Any) -> None:
    at.runtime.dispatch(BLEND, [at.x, at.y], (value,))


def _affine(at: Any, value: Any) -> None:
    at.runtime.dispatch(AFFINE, [at.x], {"a": 1, "b": value})


def _rows() -> Iterator[Row]:
    for dtype in (np.uint16, np.int32, np.uint64):
        yield from _past_the_last(dtype)
    for size_bytes, form, held_bytes in _NOT_OF_BYTES:
        told = ", ".join(f"{name}={value}" for name, value in form.items())
        says = f"cannot read {size_bytes} bytes .* has {held_bytes} bytes"
        misuse = partial(_read, size_bytes=size_bytes, form=form)
        yield f"a read of {size_bytes} bytes with {told}", misuse, InvalidData, says
    for place, form, says in _NO_PLACE:
        misuse = partial(_read, size_bytes=16, form=form)
        yield f"a read of 16 bytes into {place}", misuse, InvalidData, says
    for call, kind, values in ((_blend, "f32", _NO_F32), (_affine, "u32", _NO_U32)):
        for value in values:
            says = f"[ab]=.* is not a finite {kind}"
            yield f"a scalar of {value!r}", partial(call, value=value), InvalidScalar, says


MISFITS: list[Row] = [
    *_rows(),
    (
        "an array of scalars past u32",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], np.array([1, 1 << 32])),
        InvalidScalar,
        "b=.* is not a finite u32",
    ),
    (
        "a replay with a scalar past u32",
        lambda at: at.graph.replay([(1, np.int64(1 << 32)), None]),
        InvalidScalar,
        "b=.* is not a finite u32",
    ),
]
