"""What a kernel is: WGSL beside its NumPy meaning, under one signature.

Here live the signature types and the WGSL around a kernel's body.  No kernel
is defined here, nothing touches a device, and nothing knows who runs it.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from gpusim.errors import InvalidScalar
from gpusim.kernels import signature

if TYPE_CHECKING:
    from gpusim.wgsl.checks import ShaderReport

Dtype = Literal["u32", "i32", "f32"]
Access = Literal["read", "read_write"]
Array = npt.NDArray[Any]
Meaning = Callable[[tuple[Array, ...], tuple[Any, ...], Any], None]

NUMPY_DTYPES: dict[Dtype, np.dtype[Any]] = {
    "u32": np.dtype("<u4"),
    "i32": np.dtype("<i4"),
    "f32": np.dtype("<f4"),
}
FLOATS: tuple[Dtype, ...] = ("f32",)
_INTEGER_RANGES: dict[Dtype, tuple[int, int]] = {
    "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1),
}
_PACK_CODES: dict[Dtype, str] = {"u32": "I", "i32": "i", "f32": "f"}
F32_MAX = float(np.finfo(np.float32).max)
_UNORDERED = (str, bytes, bytearray, memoryview, Set)


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """One buffer parameter: its WGSL name, element type, and how it is used.

    ``least_bytes``: no smaller buffer can be bound, for instance because an element is a vector.
    """

    name: str
    dtype: Dtype = "u32"
    access: Access = "read"
    atomic: bool = False
    least_bytes: int = 4

    def __post_init__(self) -> None:
        what = f"binding {self.name!r}"
        signature.check_name("a binding", self.name)
        signature.check_dtype(what, self.dtype)
        signature.check_access(what, self.access, self.dtype, self.atomic)
        signature.check_least(what, self.least_bytes)

    @property
    def is_float(self) -> bool:
        """Whether its elements are floats."""
        return self.dtype in FLOATS


@dataclass(frozen=True, kw_only=True, slots=True)
class Scalar:
    """One scalar parameter, passed in the kernel's uniform buffer."""

    name: str
    dtype: Dtype = "u32"

    def __post_init__(self) -> None:
        signature.check_name("a scalar", self.name)
        signature.check_dtype(f"scalar {self.name!r}", self.dtype)

    @property
    def is_float(self) -> bool:
        """Whether it is a float."""
        return self.dtype in FLOATS


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """What a kernel computes, for a runtime that takes no WGSL: y <- y ``op`` x, word by word.

    ``op`` is ``add`` or ``mul``.  ``of`` is ``scalar`` if x is the kernel's scalar and y its
    buffer, or ``tensor`` if x is its first buffer and y its second.
    """

    op: Literal["add", "mul"]
    of: Literal["scalar", "tensor"]
    dtype: Dtype


@dataclass(frozen=True, kw_only=True, eq=False)
class Kernel:
    """A compute kernel with two executions: WGSL on a device, NumPy in the oracle.

    ``body`` is the inside of a WGSL function that sees the buffers under their
    names, the scalars as ``args.<name>``, and two values: ``group: u32``, the
    linear number of this workgroup (x fastest, then y, then z), and
    ``i: u32 = group * group_size + lane``.  The body must guard ``i`` by
    ``arrayLength`` itself.  ``declarations`` is WGSL that stands before that function.

    ``meaning(arrays, scalars, groups)`` does the same for ``groups`` workgroups
    to NumPy arrays of the declared dtypes, in place; scalars arrive as NumPy
    scalars of the declared types.

    ``guarded``: the grid may exceed the device's limit in a dimension.  The
    runtime spreads the grid over all dimensions and passes the true number of groups; the
    shader skips the groups beyond that number.

    ``tolerance`` is the relative error of one application.  Float kernels need it,
    because adapters round differently; None means exact.

    ``special_floats``: the meaning is right even for inputs that are NaN or infinite, or so large
    that a result is infinite.  Without it, results of such inputs are not compared.

    ``below``: every u32 word that the kernel writes is less than this, so the word may be part of a
    grid.  None: a word may be anything.

    ``operation``: what the kernel computes, as data, for runtimes that take no WGSL.

    ``shader`` is a whole shader in the place of ``body``, as ``from_wgsl`` makes it.  ``varied`` is
    a second meaning.  It decides differently what WGSL leaves open, such as the order of
    invocations.  A word for which the two meanings give different values is not compared with the
    device's.  ``takes_grid``: the third argument of the meaning is the grid, three numbers of
    workgroups.
    """

    name: str
    buffers: tuple[Binding, ...]
    scalars: tuple[Scalar, ...] = ()
    body: str = ""
    meaning: Meaning
    group_size: int = 64
    guarded: bool = False
    declarations: str = ""
    tolerance: float | None = None
    special_floats: bool = False
    below: int | None = None
    operation: Operation | None = None
    shader: str = ""
    varied: Meaning | None = None
    takes_grid: bool = False
    _packer: struct.Struct = field(init=False, repr=False)
    _pack: Callable[..., bytes] = field(init=False, repr=False)
    _plain_types: list[type] = field(init=False, repr=False)
    _float_positions: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        signature.check_kernel(self)
        buffers = signature.entries_of(self.name, "buffers", self.buffers, Binding)
        scalars = signature.entries_of(self.name, "scalars", self.scalars, Scalar)
        signature.check_bindings(self, buffers, scalars)
        object.__setattr__(self, "buffers", buffers)
        object.__setattr__(self, "scalars", scalars)
        codes = "".join(_PACK_CODES[scalar.dtype] for scalar in self.scalars)
        floats = tuple(at for at, scalar in enumerate(self.scalars) if scalar.is_float)
        plain = [float if scalar.is_float else int for scalar in self.scalars]
        packer = struct.Struct("<" + codes)
        object.__setattr__(self, "_packer", packer)
        object.__setattr__(self, "_pack", packer.pack)
        object.__setattr__(self, "_plain_types", plain)
        object.__setattr__(self, "_float_positions", floats)

    @classmethod
    def from_wgsl(
        cls,
        text: str,
        *,
        entry_point: str | None = None,
        name: str | None = None,
        meaning: Meaning | None = None,
        tolerance: float | None = None,
    ) -> "Kernel":
        """Makes a kernel from a whole WGSL text, which gives bindings, scalars and workgroup size.

        ``entry_point`` may be left out if the text has only one.  A storage binding that holds
        only f32, or only i32, has that ``dtype``; every other has u32.  A uniform buffer becomes
        scalars ``word0``, ``word1`` and so on, padding included.  Without a ``meaning``, the
        kernel means the WGSL, compiled to NumPy.  The simulated device runs the same NumPy, so a
        session there judges in what order commands take effect, and not the arithmetic.
        ``tolerance`` is by default 2^-20 if a buffer has floats.

        Raises:
            ProgramError: the text is not valid, or has bindings that a kernel cannot have.
        """
        # Imported here, so that the compiler is loaded only if such a kernel is made.
        from gpusim.kernels import shaders

        fields = shaders.fields_of(text, entry_point, name, meaning, tolerance)
        buffers = tuple(Binding(**each) for each in fields.pop("buffers"))
        scalars = tuple(Scalar(name=word, dtype=kind) for word, kind in fields.pop("scalars"))
        return cls(buffers=buffers, scalars=scalars, **fields)

    @property
    def max_groups(self) -> int:
        """The most groups of one dispatch; with more, the u32 ``i`` would overflow."""
        return (2**32 - 1) // self.group_size

    @property
    def cancels(self) -> bool:
        """Whether a small relative error of an input may become a large one of the result."""
        return self.operation is not None and self.operation.op == "add"

    @cached_property
    def uniform_bytes(self) -> int:
        """Size of the uniform payload in bytes; 0 if the kernel has no uniforms."""
        return self._packer.size + (4 if self.guarded else 0)

    @cached_property
    def writes(self) -> tuple[bool, ...]:
        """For each buffer, in order: whether the kernel may write it."""
        return tuple(binding.access == "read_write" for binding in self.buffers)

    @cached_property
    def uniform_format(self) -> str:
        """The types of the scalars as a format for ``struct``, without a byte order."""
        return self._packer.format.lstrip("<")

    def in_order(self, scalars: Any) -> tuple[Any, ...]:
        """Scalars in the order of the signature, from a mapping by name or from any sequence.

        Raises:
            InvalidScalar: they are no sequence, or their names are not those of the signature.
        """
        if isinstance(scalars, Mapping):
            names = [parameter.name for parameter in self.scalars]
            if scalars.keys() == {*names}:
                return tuple([scalars[name] for name in names])
            raise InvalidScalar(
                f"cannot dispatch {self.name} because the names in scalars={scalars!r} are not "
                f"{', '.join(names) or 'none'} (probably a misspelling, or one too few)"
            )
        if isinstance(scalars, _UNORDERED) or not isinstance(scalars, Iterable):
            raise InvalidScalar(
                f"cannot dispatch {self.name} because scalars={scalars!r} is no sequence of "
                "numbers (probably a comma is missing, or a grid is in its place)"
            )
        try:
            return tuple(scalars)
        except TypeError:
            # A NumPy array without dimensions is iterable by its type, and yet no sequence.
            return self.in_order(None)

    def check_scalars(self, scalars: Sequence[int | float]) -> None:
        """Raise InvalidScalar unless ``scalars`` fit the signature, one by one."""
        if len(scalars) != len(self.scalars):
            raise InvalidScalar(
                f"cannot dispatch {self.name} because it takes {len(self.scalars)} scalars and "
                f"{len(scalars)} were given (probably the kernel's signature changed)"
            )
        for parameter, value in zip(self.scalars, scalars, strict=True):
            if not _fits(parameter.dtype, value):
                raise InvalidScalar(
                    f"cannot dispatch {self.name} because {parameter.name}={value!r} is not a "
                    f"finite {parameter.dtype} (probably an overflow, or a value of another type)"
                )

    def pack(self, scalars: Sequence[int | float], groups: int) -> bytes:
        """Check ``scalars`` and pack the uniform payload: little-endian, no padding.

        Packing itself refuses an integer out of range and a wrong number of values, so plain ints
        have no check of their own.
        """
        if self._float_positions:
            if [*map(type, scalars)] != self._plain_types or not self._floats_fit(scalars):
                self.check_scalars(scalars)
        else:
            for value in scalars:
                if type(value) is not int:
                    self.check_scalars(scalars)
                    break
        try:
            payload = self._pack(*scalars)
        except (struct.error, OverflowError):
            self.check_scalars(scalars)
            raise
        return payload + groups.to_bytes(4, "little") if self.guarded else payload

    def _floats_fit(self, scalars: Sequence[int | float]) -> bool:
        # Packing would not refuse a float just past the largest: it rounds that float down.
        return all(abs(scalars[at]) <= F32_MAX for at in self._float_positions)

    def check(
        self,
        buffers: Sequence[Any],
        scalars: Any = (),
        *,
        grid: int | tuple[int, int, int] = 1,
        arithmetic: bool = False,
        orders: int = 16,
    ) -> "tuple[ShaderReport, ...]":
        """The mistakes in its WGSL that one dispatch shows, each with its lines; empty if none.

        The WGSL runs in NumPy, on no device.  docs/SHADERS.md says what is found.

        Args:
            buffers: an array for each buffer, which is copied; or a size in bytes, for zeros.
            scalars: as for ``Runtime.dispatch``.
            grid: the number of workgroups, or three such numbers, for x, y and z.
            arithmetic: warn of divisions by zero, wide shifts and the like, too.
            orders: how many other orders of workgroups and atomics to try, if the result of an
                atomic decides what the shader does.  A dispatch that has no more orders than this
                is tried in all of them.

        Raises:
            InvalidScalar: a scalar does not fit the signature.
            ProgramError: ``buffers`` are too few or too small, or the WGSL is not valid.
        """
        # Imported here, so that the compiler is loaded only if a kernel is checked.
        from gpusim.kernels import checking

        return checking.check(self, buffers, scalars, grid, arithmetic=arithmetic, orders=orders)

    def wgsl(self) -> str:
        """The whole shader: declarations, the guard, and the body."""
        return self._shader

    @cached_property
    def _shader(self) -> str:
        return self.shader or _write_shader(self)


def _fits(dtype: Dtype, value: object) -> bool:
    if type(value) is int and dtype != "f32":
        low, high = _INTEGER_RANGES[dtype]
        return low <= value <= high
    if isinstance(value, (bool, np.bool_)):
        return False
    if dtype == "f32":
        if isinstance(value, (int, np.integer)):
            return abs(int(value)) <= F32_MAX
        return isinstance(value, (float, np.floating)) and abs(float(value)) <= F32_MAX
    low, high = _INTEGER_RANGES[dtype]
    return isinstance(value, (int, np.integer)) and low <= int(value) <= high


def _write_shader(kernel: Kernel) -> str:
    lines = [
        f"@group(0) @binding({number}) var<storage, {binding.access}> "
        f"{binding.name}: array<{_element(binding)}>;"
        for number, binding in enumerate(kernel.buffers)
    ]
    if kernel.uniform_bytes:
        fields = [f"{scalar.name}: {scalar.dtype}" for scalar in kernel.scalars]
        fields += ["groups: u32"] if kernel.guarded else []
        lines.append(f"struct Args {{ {', '.join(fields)} }}")
        lines.append(f"@group(0) @binding({len(kernel.buffers)}) var<uniform> args: Args;")
    guard = "    if (group >= args.groups) { return; }\n" if kernel.guarded else ""
    main = (
        f"@compute @workgroup_size({kernel.group_size})\n"
        "fn main(@builtin(workgroup_id) at: vec3<u32>, @builtin(num_workgroups) count: vec3<u32>,\n"
        "        @builtin(local_invocation_index) lane: u32) {\n"
        "    let group = (at.z * count.y + at.y) * count.x + at.x;\n"
        f"{guard}"
        f"    let i = group * {kernel.group_size}u + lane;\n"
        f"{kernel.body}\n}}\n"
    )
    return "\n".join([*lines, kernel.declarations, main])


def _element(binding: Binding) -> str:
    return f"atomic<{binding.dtype}>" if binding.atomic else binding.dtype
