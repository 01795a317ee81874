"""Writes scalar expressions as Python: for one value that all lanes share, or for arrays.

What the lanes share is plain Python, computed once.  Memory is read through a slice if the index is
linear in the lane's number, and gathered otherwise.
"""

from typing import Any

import numpy as np

from gpusim.wgsl.emit_indices import IndexWriter, unit_of
from gpusim.wgsl.frames import Frame
from gpusim.wgsl.ir import (
    Address,
    Const,
    Get,
    Length,
    Load,
    Memory,
    Op,
    Scalar,
    Variable,
)
from gpusim.wgsl.operations import row_of
from gpusim.wgsl.ranges import most_of
from gpusim.wgsl.uniformity import varies

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


class ExpressionWriter(IndexWriter):
    """Writes expressions in ``frame``; ``lines`` takes what must stand before an expression."""

    def __init__(self, sizes: tuple[int, int, int]) -> None:
        super().__init__(sizes)
        self.constants: dict[str, Any] = {}
        self.floats = False
        self.owner: Variable | None = None
        """The varying fixed variable whose expression is written now; None if there is none."""
        self.readers: dict[Variable, dict[Variable | None, None]] = {}
        """For each variable, the varying fixed variables whose expressions read it.

        None is among them if anything else reads the variable.
        """
        self.unneeded: dict[Variable, None] = {}
        """Fixed variables that only other such variables read; some may be results of atomics."""
        self.asks = False
        """Whether the result of an atomic is needed."""
        self.built_ins: dict[Variable, None] = {}
        """The built-in values that vary."""
        self.bases: dict[Any, Variable] = {}
        self.root = Frame(None, self.numbers)
        self.lane = Variable("lane", "intp", fixed=True, varying=True)
        self.group = Variable("group", "intp", fixed=True, varying=True)
        self.once: dict[str, str] = {}
        """By name, the Python of values that are computed once, before the first block of lanes."""
        self.shares = False
        """Whether the invocations of a workgroup share memory or wait for each other.

        If so, each block of lanes has whole workgroups only.
        """

    def code(self, value: Scalar) -> str:
        """The Python of an expression."""
        if isinstance(value, Const):
            return self._constant(value)
        if isinstance(value, Get):
            return self._get(value.variable)
        if isinstance(value, Length):
            return self._length(value)
        if isinstance(value, Load):
            return self.load(value)
        if value.type in ("f32", "f16") or value.operands[0].type in ("f32", "f16"):
            self.floats = True
        return self._op(value)

    def _constant(self, value: Const) -> str:
        if value.type in ("f32", "f16"):
            kind = np.float32 if value.type == "f32" else np.float16
            number = kind(value.value)
            name = f"c{value.type}_{number.tobytes().hex()}"
            self.constants[name] = number
            return name
        return repr(value.value if value.type == "bool" else int(value.value))

    def _get(self, variable: Variable) -> str:
        self.readers.setdefault(variable, {})[self.owner] = None
        return self.frame.read(variable) if variable.varying else str(variable)

    def _length(self, value: Length) -> str:
        size = f"size_{value.memory}"
        if value.offset or value.stride != 4:
            return f"(({size} - {value.offset}) // {value.stride})"
        return f"({size} >> 2)"

    def _op(self, value: Op) -> str:
        of = value.operands[0].type
        if value.name in ("div", "mod") and of in ("u32", "i32"):
            self.floats = True
        operands = [self.code(each) for each in value.operands]
        if not varies(value):
            return row_of(value.name, of).one.format(*operands)
        is_shift = value.name in ("shl", "shr") and of == "u32"
        if is_shift and most_of(value.operands[1], self.most) < 32:
            return row_of(f"{value.name}_by", of).many.format(*operands)
        is_choice = value.name == "select" and value.type != "bool"
        if is_choice and not any(varies(each) for each in value.operands[:2]):
            operands[:2] = [f"{value.type}({each})" for each in operands[:2]]
        return row_of(value.name, of).many.format(*operands)

    def into(self, value: Scalar, target: str, of: Memory | Variable) -> str | None:
        """Python that computes a value straight into the array named ``target``.

        That array is the variable ``of``, or a slice of the memory ``of``.  None if no single ufunc
        computes the result.
        """
        if not isinstance(value, Op) or not varies(value) or value.name in _COMPARISONS:
            return None
        row = row_of(value.name, value.operands[0].type)
        if not row.ufunc or value.type == "bool":
            return None
        if value.type in ("f32", "f16"):
            self.floats = True
        operands = [self.code(each) for each in value.operands]
        for at, each in enumerate(value.operands):
            rest = [other for other in value.operands if other is not each]
            if any(_reads(other, of) for other in rest):
                continue
            inner = self.into(each, target, of)
            if inner is not None:
                operands[at] = inner
                break
        return f"{row.ufunc}({', '.join(operands)}, {target})"

    def load(self, value: Load) -> str:
        """The Python of a load."""
        memory, address = value.memory, value.address
        array = self.view(memory, value.type)
        if memory.space == "private":
            return self._load_private(array, memory, address, value.type)
        if memory.space == "workgroup":
            return self.load_workgroup(array, memory, address, value.type)
        whole = self.shared_index(address, value.type)
        if whole is not None:
            return self._load_one(array, whole, memory, value.type)
        where = self.slice_of(memory, address, value.type)
        if where is not None:
            return where
        where = self.span_of(memory, address, value.type)
        if where is not None:
            row = self._row_of(array, memory, address, value.type)
            return f"({row}load({array}, {where}))"
        clamped = self.clamped(memory, address, value.type)
        if clamped is not None:
            return f"load({array}, {clamped})"
        return f"gather({array}, {self.index(address, value.type)})"

    def load_workgroup(self, array: str, memory: Memory, address: Address, kind: str) -> str:
        """The Python of a load from workgroup memory."""
        raise NotImplementedError

    def _load_one(self, array: str, whole: str, memory: Memory, kind: str) -> str:
        is_float = kind in ("f32", "f16")
        if whole.isdigit() and int(whole) * unit_of(kind) < memory.size:
            code = f"{array}[{whole}]" if is_float else f"{array}.item({whole})"
            if memory.written:
                return code
            self.once[f"{array}_{whole}"] = code
            return f"{array}_{whole}"
        return f"{'one_float' if is_float else 'one'}({array}, {whole})"

    def _load_private(self, array: str, memory: Memory, address: Address, kind: str) -> str:
        whole = self.shared_index(address, kind)
        most = memory.size // unit_of(kind) - 1
        if whole is None:
            index = f"minimum({self.index(address, kind)}, {most})"
            return f"{array}[{index}, {self.frame.read(self.lane)}]"
        row = whole if whole.isdigit() else f"min({whole}, {most})"
        if self.frame.parent is None:
            return f"{array}[{row}]"
        return f"{array}[{row}].take({self.frame.read(self.lane)})"

    def most_index(self, address: Address, kind: str) -> int:
        """The largest index that an address may have."""
        unit = unit_of(kind)
        total = address.constant // unit
        for stride, index in address.terms:
            total += most_of(index, self.most) * (stride // unit)
        return total

    def shared_index(self, address: Address, kind: str) -> str | None:
        """The index that all lanes share; None if they may have different indices."""
        if any(varies(index) for _, index in address.terms):
            return None
        return self._sum(address, kind, wrap=True)

    def index(self, address: Address, kind: str) -> str:
        """The index of each lane."""
        return self._sum(address, kind, wrap=False)

    def _sum(self, address: Address, kind: str, *, wrap: bool) -> str:
        unit = unit_of(kind)
        parts = []
        for stride, index in address.terms:
            factor = stride // unit
            code = self.code(index)
            parts.append(code if factor == 1 else f"{code} * {factor}")
        if not parts:
            return str(address.constant // unit)
        if address.constant:
            parts.append(str(address.constant // unit))
        whole = " + ".join(parts)
        if wrap and len(parts) > 1:
            return f"(({whole}) & 0xffffffff)"
        return f"({whole})"

    def _row_of(self, array: str, memory: Memory, address: Address, kind: str) -> str:
        """Python to stand before a call of ``load``: ``SLICE if ITS_ELEMENTS_EXIST else``.

        A slice is cheaper than the call, which is made only if an element is missing.  The Python
        is empty if the index is not the lane's number, or if the lanes may not be consecutive.
        """
        counted = self.counted(address, kind)
        if counted is None or counted.step != 1 or counted.rest or not self.frame.in_row:
            return ""
        first = self.frame.first_lane()
        end = f"{first} + {self.frame.count}"
        return f"{array}[{first}:{end}] if {end} <= len({array}) else "

    def slice_of(self, memory: Memory, address: Address, kind: str) -> str | None:
        """The name of a slice with an element for each lane.

        None if the elements make no slice, or if the slice may reach past the end.
        """
        frame = self.frame
        counted = self.counted(address, kind)
        if counted is None or not frame.in_row:
            return None
        rest = counted.rest.get((), 0)
        if [*counted.rest] not in ([], [()]) or rest >= counted.step:
            return None
        stride = counted.step * unit_of(kind)
        if not any(each is memory and size >= stride for each, size in frame.below):
            return None
        key = (memory, kind, counted.step, rest)
        name = frame.slices.get(key)
        if name is None:
            name = frame.slices[key] = self.name("v")
            start, array = frame.first_lane(), self.view(memory, kind)
            step = counted.step
            if step == 1:
                part = f"{start}:{start} + {frame.count}"
            else:
                first = f"{step} * {start} + {rest}"
                part = f"{first}:{step} * ({start} + {frame.count}):{step}"
            self.lines.append(f"{name} = {array}[{part}]")
        return name


def _reads(value: Scalar, of: Memory | Variable) -> bool:
    """Whether an expression reads a memory or a variable."""
    if isinstance(value, Op):
        return any(_reads(each, of) for each in value.operands)
    if isinstance(value, Load):
        if value.memory is of:
            return True
        return any(_reads(index, of) for _, index in value.address.terms)
    return isinstance(value, Get) and value.variable is of


def may_alias(value: Scalar, *, changes: bool) -> bool:
    """Whether a variable must take a copy of the array that an expression gives.

    It must if another variable or a memory may have the same array, and this variable or that other
    holder may be changed in place later.  ``changes`` says whether this may happen to the variable
    that takes the array.
    """
    if isinstance(value, Op):
        if value.name.startswith("bits_") or value.name == "abs":
            return may_alias(value.operands[0], changes=changes)
        return False
    if isinstance(value, Get):
        return changes or not value.variable.fixed
    return isinstance(value, Load) and (changes or value.memory.written)
