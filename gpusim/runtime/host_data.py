"""Host data on its way in and out: plain bytes, or refused.

No device and no buffer handle is known here.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpusim.errors import InvalidData

_FOREIGN = (">", "!")


def plain_bytes(data: Any) -> memoryview:
    """The bytes of an array or buffer, C-ordered, as a flat view or a copy of them.

    InvalidData for what has no plain bytes: objects, dates, foreign byte order,
    and things that are no buffer at all.
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return _array_bytes(np.asarray(data))
    try:
        view = memoryview(data)
    except TypeError:
        raise InvalidData(
            f"cannot write a {type(data).__name__} because it has no plain bytes "
            "(probably np.asarray(..., dtype) of it was meant)"
        ) from None
    if view.format.startswith(_FOREIGN) or "O" in view.format:
        raise InvalidData(
            f"cannot write a buffer of format {view.format!r} because its elements are not this "
            "machine's plain bytes (probably it needs a conversion)"
        )
    return view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())


def _array_bytes(array: np.ndarray[Any, Any]) -> memoryview:
    dtype = array.dtype
    if dtype.hasobject or dtype.kind in "mM":
        raise InvalidData(
            f"cannot write an array of {dtype} because its elements are not plain bytes "
            "(probably astype of a number was meant)"
        )
    if not dtype.isnative:
        raise InvalidData(
            f"cannot write an array of {dtype.str} because its byte order is not the device's "
            "(probably array.astype(array.dtype.newbyteorder('=')) was meant)"
        )
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


class Destination:
    """What a read becomes: bytes, an array of a dtype and shape, or an array of the caller's."""

    def __init__(
        self,
        size_bytes: int,
        *,
        dtype: Any = None,
        shape: int | Sequence[int] | None = None,
        out: Any = None,
    ) -> None:
        if out is not None and (dtype is not None or shape is not None):
            raise InvalidData(
                "cannot read into out with a dtype or shape because out has its own "
                "(probably one of them is left over)"
            )
        self._out = None if out is None else _writable(out, size_bytes)
        self._owner = out
        self._array = None
        if dtype is not None or shape is not None:
            self._array = _layout(size_bytes, np.dtype(dtype or np.uint8), shape)

    def deliver(self, data: memoryview) -> Any:
        """The value of the read: ``data`` copied once, into memory that nobody else touches.

        A new array is made by NumPy, which asks for large pages where it is
        large: a fresh ``bytearray`` costs a page fault each 4 KiB.
        """
        if self._out is not None:
            self._out[:] = data
            return self._owner
        if self._array is not None:
            dtype, shape = self._array
            return np.frombuffer(data, dtype=np.uint8).copy().view(dtype).reshape(shape)
        return bytes(data)


def _writable(out: Any, size_bytes: int) -> memoryview:
    try:
        view = memoryview(out)
    except TypeError:
        view = None
    if view is None or view.readonly or not view.c_contiguous or view.nbytes != size_bytes:
        raise InvalidData(
            f"cannot read {size_bytes} bytes into out because it is not a writable, contiguous "
            f"buffer of that size (probably its shape or dtype differs): {type(out).__name__}"
        )
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def _layout(
    size_bytes: int, dtype: np.dtype[Any], shape: int | Sequence[int] | None
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    if dtype.hasobject or dtype.kind in "mM" or dtype.itemsize == 0:
        raise InvalidData(
            f"cannot read as {dtype} because bytes of a device are no such elements "
            "(probably a number type was meant)"
        )
    if shape is None:
        shape = (size_bytes // dtype.itemsize,)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.itemsize != size_bytes:
        raise InvalidData(
            f"cannot read {size_bytes} bytes as {dtype} of shape {sizes} because those hold "
            f"{math.prod(sizes) * dtype.itemsize} bytes (probably size_bytes counts elements)"
        )
    return dtype, sizes
