"""The forms in which a caller may pass an argument: data, numbers, grids, scalars and buffers.

A form turns a value of an op into an argument that means the same.  Forms of data come with a
function that overwrites the argument.  Only legal forms are here; ``misuses`` has illegal forms,
and the clients decide which form is drawn.
"""

import array
import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gpusim.kernels import Kernel
from gpusim.kernels.kernel import F32_MAX
from gpusim.ops import Grid

Passed = tuple[Any, Callable[[], None]]
"""An argument, and a function that overwrites it."""
_EE = 0xEE


def _nothing() -> None:
    """Do nothing: this form cannot be overwritten."""


def _filled(owner: np.ndarray[Any, Any], passed: Any = None) -> Passed:
    """``passed``, which shares the memory of ``owner``, and a function that overwrites it."""

    def fill() -> None:
        owner.reshape(-1).view(np.uint8).fill(_EE)

    return owner if passed is None else passed, fill


def _owned(data: bytes, dtype: str = "u1") -> np.ndarray[Any, Any]:
    return np.frombuffer(bytearray(data), dtype=dtype)


def _bytearray(data: bytes) -> Passed:
    passed = bytearray(data)

    def fill() -> None:
        passed[:] = bytes([_EE]) * len(passed)

    return passed, fill


def _array(code: str) -> Callable[[bytes], Passed]:
    def made(data: bytes) -> Passed:
        passed = array.array(code, data)
        return _filled(np.frombuffer(passed, np.uint8), passed) if data else (passed, _nothing)

    return made


def _view_of(code: Literal["H", "I"]) -> Callable[[bytes], Passed]:
    """A memoryview of elements wider than a byte, so that its length is not its number of bytes."""

    def made(data: bytes) -> Passed:
        owner = _owned(data)
        return _filled(owner, owner.data.cast("B").cast(code) if data else memoryview(b""))

    return made


def _strided(data: bytes) -> Passed:
    """Every other byte of an array, so that it is not contiguous."""
    owner = np.zeros(2 * len(data), dtype=np.uint8)
    owner[::2] = np.frombuffer(data, dtype=np.uint8)
    return _filled(owner, owner[::2])


def _strided_view(data: bytes) -> Passed:
    passed, fill = _strided(data)
    return passed.data, fill


def _backwards(data: bytes) -> Passed:
    """An array whose stride is negative."""
    owner = np.frombuffer(data, dtype="u4")[::-1].copy()
    return _filled(owner, owner[::-1])


def _columns(data: bytes) -> Passed:
    """Words in Fortran's order: their order in memory is not the array's order."""
    owner = np.frombuffer(data, dtype="u4").reshape(2, -1).T.copy()
    return _filled(owner, owner.T)


def _cut(data: bytes) -> Passed:
    """Columns out of the middle of a wider array."""
    words = np.frombuffer(data, dtype="u4").reshape(2, -1)
    owner = np.zeros((2, words.shape[1] + 2), dtype="u4")
    owner[:, 1:-1] = words
    return _filled(owner, owner[:, 1:-1])


def _read_only(data: bytes) -> Passed:
    passed = np.frombuffer(data, dtype="u4")
    assert not passed.flags.writeable
    return passed, _nothing


def _of(dtype: Any, *shape: int) -> Callable[[bytes], Passed]:
    """An array of the dtype ``dtype`` and, if a shape is given, of that shape."""

    def made(data: bytes) -> Passed:
        owner = _owned(data, dtype)
        return _filled(owner, owner.reshape(shape) if shape else owner)

    return made


_PAIR = [("a", "u2"), ("b", "f4"), ("c", "u2")]


class _Pair(ctypes.Structure):
    """A record whose format, as a memoryview gives it, has an O, the letter of objects.

    Here the O is only in the name of a field.
    """

    _fields_ = (("Odd", ctypes.c_float), ("Other", ctypes.c_uint32))


def _structures(data: bytes) -> Passed:
    owner = _owned(data)
    passed = (_Pair * (len(data) // 8)).from_buffer(owner.data)
    return _filled(owner, passed) if data else (passed, _nothing)


DATA: Sequence[tuple[int, int | None, Callable[[bytes], Passed]]] = (
    (1, None, lambda data: (data, _nothing)),
    (1, None, _bytearray),
    (1, None, lambda data: (memoryview(data), _nothing)),
    (1, None, _of("u1")),
    (1, None, _strided),
    (1, None, _strided_view),
    (1, None, _array("B")),
    (2, None, _of("u2")),
    (2, None, _of("f2")),
    (2, None, _view_of("H")),
    (4, None, _of("u4")),
    (4, None, _of("i4")),
    (4, None, _of("f4")),
    (4, None, _array("I")),
    (4, None, _array("f")),
    (4, None, _view_of("I")),
    (4, None, _backwards),
    (4, None, _read_only),
    (4, 4, lambda data: _filled(owner := _owned(data, "u4"), owner.reshape(()))),
    (4, 4, lambda data: (np.frombuffer(data, "u4")[0], _nothing)),
    (8, None, _of("c8")),
    (8, None, _of(_PAIR)),
    (8, None, _structures),
    (8, None, _of("u4", 2, -1)),
    (8, None, _columns),
    (8, None, _cut),
    (16, None, _of("u4", 2, 2, -1)),
)
"""Forms of data.  The length in bytes must be a multiple of the first number, and equal to the
second number if there is one."""


def data_forms(data: bytes) -> list[Callable[[bytes], Passed]]:
    """The forms that data of this length may have."""
    size = len(data)
    return [
        make
        for unit, only, make in DATA
        if not size % unit and (size or unit == 1) and (only is None or size == only)
    ]


class _Indexed:
    """A whole number that is no ``int``."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


def _narrow(number: int) -> Any:
    """The number in the narrowest type of NumPy that holds it; sums of it may not fit there."""
    return np.min_scalar_type(number).type(number)


NUMBERS: Sequence[Callable[[int], Any]] = (int, np.int64, _Indexed, _narrow, np.array, np.int32)
"""Forms of a whole number; the last form cannot hold every number."""
_MOST_INT32 = 2**31 - 1


def number_forms(number: int) -> Sequence[Callable[[int], Any]]:
    """The forms that this number may have."""
    return NUMBERS if abs(number) <= _MOST_INT32 else (int, _Indexed)


def grid_forms(grid: Grid) -> list[Any]:
    """The grid in each form that it may have."""
    x, y, z = grid
    forms: list[Any] = [grid, list(grid), iter(grid), tuple(map(_Indexed, grid))]
    forms += [np.array(grid), tuple(map(np.uint32, grid))] if _are_words(grid) else []
    if z == 1:
        forms += [(x, y), [x, y]]
    if y == z == 1:
        forms += [x, (x,), [x], _Indexed(x), np.array(x), range(x, x + 1)]
    return forms


def scalar_forms(kernel: Kernel, scalars: Sequence[int | float]) -> list[Any]:
    """The scalars in each form that they may have."""
    forms: list[Any] = [tuple(scalars), list(scalars), iter(scalars), deque(scalars)]
    names = [parameter.name for parameter in kernel.scalars]
    if len(names) == len(scalars):
        forms.append(dict(zip(names, scalars, strict=True)))
        # The order of a mapping has no meaning.
        forms.append(dict(reversed([*zip(names, scalars, strict=True)])))
        forms.append(dict(zip(names, scalars, strict=True)).values())
    dtypes = [parameter.dtype for parameter in kernel.scalars]
    if len(names) == len(scalars) and dtypes and {*dtypes} == {"u32"}:
        forms += _numpy_scalars(scalars)
    elif len(names) == len(scalars) and all(map(_fits, dtypes, scalars)):
        forms.append([_WIDEST[type(value)](value) for value in scalars])
    return forms


_WIDEST: Mapping[type, Any] = {int: np.int64, float: np.float64}
"""For each of Python's types of numbers: a type of NumPy that holds each legal scalar exactly."""


def _fits(dtype: str, value: Any) -> bool:
    """Whether a scalar of type ``dtype`` may have the value.

    If not, the message of the refusal would show NumPy's type with the value.
    """
    if dtype == "f32":
        return type(value) is float and abs(value) <= F32_MAX
    least, most = (0, 1 << 32) if dtype == "u32" else (-1 << 31, 1 << 31)
    return type(value) is int and least <= value < most


_ZEROS = 24
"""How often an array is among the forms, if all scalars are zero."""


def _numpy_scalars(scalars: Sequence[int | float]) -> list[Any]:
    """The scalars as numbers of NumPy; none if they do not fit into u32.

    Zeros are an array more often, because a runtime may wrongly ask the array for its truth.
    """
    if not _are_words(scalars):
        return []
    arrays: list[Any] = [np.array(scalars, np.uint32)] * (1 if any(scalars) else _ZEROS)
    return [*arrays, [np.uint32(value) for value in scalars]]


def _are_words(values: Sequence[int | float]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 32 for value in values)


def sequence_forms(items: Sequence[Any]) -> list[Any]:
    """Buffers in each form that keeps their order."""
    return [list(items), tuple(items), iter(items), deque(items), dict(enumerate(items)).values()]


def overwrite(form: Any) -> None:
    """Change the contents of a form of scalars, buffers or bindings, if it can be changed."""
    if isinstance(form, list | deque):
        form.extend([0] * (len(form) + 1))
        form.reverse()
    elif isinstance(form, dict):
        form.clear()
    elif isinstance(form, np.ndarray):
        form.fill(0)
