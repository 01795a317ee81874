"""Converts host data to plain bytes and back, or refuses it.

An array has a type of elements, and a kernel reads words.  Elements that no kernel reads are
refused, since the kernel would silently read their bytes as something else.  Nothing here knows a
device or a buffer handle.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from operator import index
from typing import Any

import numpy as np

from gpusim.errors import InvalidData
from gpusim.kernels.kernel import NUMPY_DTYPES

_FOREIGN = (">", "!")
_NATIVE = "@=<"
_NO_NUMBERS = ("O", "u", "w")
"""The formats of objects and characters, as a ``memoryview`` has them; they are refused."""
_WORD_BYTES = 4
_HINTS = {
    "a": "np.asarray(..., dtype) of it was meant",
    "int": "np.uint32 of it was meant, or the offset, which comes after the data",
    "str": "its encode() was meant",
    "Buffer": "copy was meant, which takes two buffers",
    "Ticket": "its result() was meant",
    "memoryview": "it was released",
}
"""What was probably meant, keyed by the name of the refused value's type.

The entry ``a`` is for every type that has no entry."""
_NARROWER = {"b": "uint32", "i": "int32", "u": "uint32", "f": "float32", "c": "complex64"}
"""The dtype that was probably meant, keyed by the ``kind`` of the refused array's dtype."""


def plain_bytes(data: Any) -> memoryview:
    """The bytes of an array or buffer in C order, as a flat view or a copy.

    InvalidData for data without plain bytes (objects, dates, foreign byte order, anything
    but a buffer), and for elements that no kernel reads.
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return _array_bytes(np.asanyarray(data))
    try:
        view = memoryview(data)
    except (TypeError, ValueError, BufferError):
        kind = type(data).__name__
        raise InvalidData(
            f"cannot write data of type {kind} because it has no plain bytes "
            f"(probably {_HINTS.get(kind, _HINTS['a'])})"
        ) from None
    if view.format.startswith(_FOREIGN) or view.format.strip(_NATIVE) in _NO_NUMBERS:
        raise _not_plain(view)
    dtype = _elements_of(view)
    if dtype is None:
        return _array_bytes(_records_of(view))
    _check_elements(dtype)
    return view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())


def _not_plain(view: memoryview) -> InvalidData:
    return InvalidData(
        f"cannot write a buffer of format {view.format!r} because its elements are not this "
        "machine's plain bytes (probably it needs a conversion)"
    )


def _records_of(view: memoryview) -> np.ndarray[Any, Any]:
    """A buffer of a compound format as an array, so that each of its fields can be checked."""
    try:
        return np.asarray(view)
    except (TypeError, ValueError):
        raise _not_plain(view) from None


def _array_bytes(array: np.ndarray[Any, Any]) -> memoryview:
    dtype = array.dtype
    if dtype.hasobject or dtype.kind in "mMU":
        raise InvalidData(
            f"cannot write an array of {dtype} because its elements are not plain bytes "
            "(probably astype to a type of numbers was meant)"
        )
    if not dtype.isnative:
        raise InvalidData(
            f"cannot write an array of {dtype.str} because its byte order is not the device's "
            "(probably array.astype(array.dtype.newbyteorder('=')) was meant)"
        )
    _check_unmasked("write", array, "its filled()")
    _check_elements(dtype)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _check_unmasked(what: str, array: np.ndarray[Any, Any], meant: str) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise InvalidData(
            f"cannot {what} a masked array because a buffer has no mask "
            f"(probably {meant} was meant)"
        )


def _elements_of(view: memoryview) -> np.dtype[Any] | None:
    """The dtype of a buffer's elements; None if NumPy has none for them, or a compound one."""
    try:
        return np.dtype(view.format) if len(view.format.lstrip(_NATIVE)) == 1 else None
    except TypeError:
        return None


def _check_elements(dtype: np.dtype[Any]) -> None:
    """Raise InvalidData for numbers wider than a word, and for bools, which take a byte each."""
    size_bytes = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    if dtype.kind == "b" or (dtype.kind in "iufc" and size_bytes > _WORD_BYTES):
        raise InvalidData(
            f"cannot write an array of {dtype} because a kernel's numbers are u32, i32 or f32 "
            f"(probably array.astype(np.{_NARROWER[dtype.kind]}) was meant, or array.tobytes() "
            "for its plain bytes)"
        )


class Destination:
    """The form of a read's value: bytes, an array of a dtype and shape, or the caller's array."""

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
            self._array = _layout(size_bytes, _dtype_of(dtype), shape)

    def deliver(self, data: memoryview) -> Any:
        """The value of the read; ``data`` is copied only once.

        If an array is wanted, NumPy makes it, since NumPy asks the system for large pages if an
        array is large; a new ``bytearray`` would cost a page fault for every 4 KiB.
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
    except (TypeError, ValueError):
        view = None
    if view is None or view.readonly or not view.c_contiguous or view.nbytes != size_bytes:
        raise InvalidData(
            f"cannot read {size_bytes} bytes into out because it is not a writable, contiguous "
            f"buffer of that size (probably its shape or dtype differs): {type(out).__name__}"
        )
    if isinstance(out, np.ndarray):
        _check_unmasked("read into", out, "its data")
        _check_readable(out.dtype)
        # ``out`` may be a np.matrix, which has two dimensions even after a reshape.
        plain = np.asarray(out)
        return plain.reshape(-1).view(np.uint8).data if out.size else memoryview(bytearray())
    dtype = _elements_of(view)
    if dtype is None:
        raise InvalidData(
            f"cannot read into out of format {view.format!r} because its elements are not this "
            "machine's plain bytes (probably a plain array was meant)"
        )
    _check_readable(dtype)
    return view.cast("B") if view.nbytes else memoryview(bytearray())


def _dtype_of(given: Any) -> np.dtype[Any]:
    """The dtype for what a caller gave: a dtype, or the name of one in NumPy or in a kernel.

    None means bytes.
    """
    if any(given is number for number in (int, float, complex)):
        raise InvalidData(
            f"cannot read as dtype={given.__name__} because Python's numbers are eight bytes or "
            "more in NumPy, and a kernel's are four (probably np.uint32 or np.float32 was meant)"
        )
    try:
        named = NUMPY_DTYPES.get(given) if isinstance(given, str) else None  # type: ignore[call-overload]
        dtype: np.dtype[Any] = named or np.dtype(np.uint8 if given is None else given)
    except (TypeError, ValueError, SyntaxError):
        raise InvalidData(
            f"cannot read as dtype={given!r} because NumPy knows no such type (probably np.uint32, "
            "np.int32 or np.float32 was meant)"
        ) from None
    return dtype


def _check_readable(dtype: np.dtype[Any]) -> None:
    if dtype.subdtype is not None:
        raise InvalidData(
            f"cannot read as {dtype} because this dtype has a shape of its own (probably the shape "
            "belongs into shape=)"
        )
    if dtype.hasobject or dtype.kind in "mMbU" or dtype.itemsize == 0 or dtype.char in "gG":
        raise InvalidData(
            f"cannot read as {dtype} because the bytes of a device are no such elements "
            "(probably a number type was meant)"
        )
    if not dtype.isnative:
        raise InvalidData(
            f"cannot read as {dtype.str} because its byte order is not the device's (probably "
            f"{dtype.newbyteorder('=').str} was meant)"
        )


def _layout(
    size_bytes: int, dtype: np.dtype[Any], shape: int | Sequence[int] | None
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    _check_readable(dtype)
    sizes = (size_bytes // dtype.itemsize,) if shape is None else _sizes(shape)
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.itemsize != size_bytes:
        raise InvalidData(
            f"cannot read {size_bytes} bytes as {dtype} of shape {sizes} because that array has "
            f"{math.prod(sizes) * dtype.itemsize} bytes (probably size_bytes counts elements)"
        )
    try:
        # NumPy must refuse the shape now, and not when the read is delivered.
        np.empty(sizes, dtype)
    except ValueError as error:
        raise InvalidData(
            f"cannot read into an array of {len(sizes)} dimensions because NumPy makes none of "
            f"that shape (probably another shape was meant): {error}"
        ) from None
    return dtype, sizes


def _sizes(shape: Any) -> tuple[int, ...]:
    try:
        given = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        if isinstance(shape, Mapping | Set) or bool in map(type, given):
            raise TypeError
        sizes = tuple(map(index, given))
    except TypeError:
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise InvalidData(
            f"cannot read into shape={shape!r} because a shape is one or more whole numbers from 0 "
            "on (probably the shape has a -1, where its real size is needed)"
        )
    return sizes
