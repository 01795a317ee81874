"""Special floats: NaN, infinite, minus nought and subnormal, as f32.

An implementation of WGSL may change them, or assume that there are none (specification, "Floating
Point Evaluation").  So programs have them only if the target promises to keep them, or one of the
kernels says what it computes from them.  Writes, copies, reads and exact kernels keep every bit.
Scalars that are NaN or infinite are not here: the contract refuses them.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from gpusim.errors import InvalidScalar
from gpusim.kernels import Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    AnyDispatch,
    Capture,
    Command,
    Dispatch,
    DispatchIndirect,
    Free,
    Op,
    Replay,
    Write,
    name_of,
)
from gpusim.program import Program, buffers_of
from properties.generate.choices import Choices

_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
_SCALARS = (-0.0, 2.0**-149, -(2.0**-127))
_WORDS = (
    0x7FC00000,
    0xFFC12345,
    0x7F800001,
    0x7F800000,
    0xFF800000,
    0x80000000,
    0x00000001,
    0x807FFFFF,
)
_SUBNORMAL_WORDS = 2
"""The number of subnormal words at the end of ``_WORDS``.  A device may flush a subnormal to zero,
so what a kernel makes of it is not compared."""
_ORDINARY = 1.0
_DISPATCHES, _WRITES = 4, 2
"""In a program with special floats: of the dispatches that can have one, one in ``_DISPATCHES``
gets a special float, and of the writes one in ``_WRITES``."""


def is_special(value: float) -> bool:
    """Whether a scalar is minus nought or, as f32, subnormal."""
    if value == 0:
        return math.copysign(1.0, value) < 0
    return abs(value) < _SMALLEST_NORMAL


def has_special_floats(promised: bool, kernels: Mapping[str, Kernel]) -> bool:
    """Whether programs may have special floats.

    They may if the target promises to keep them, or if a kernel says what it makes of them.
    """
    return promised or any(kernel.special_floats for kernel in kernels.values())


def real_buffers(program: Iterable[Op], kernels: Mapping[str, Kernel]) -> frozenset[str]:
    """The names of the buffers that any dispatch of ``program`` binds as floats.

    A dispatch over a freed buffer is refused, and binds nothing.
    """
    names: set[str] = set()
    freed: set[str] = set()
    swaps: list[tuple[str, str]] = []
    captured: dict[str, set[str]] = {}
    for op in program:
        commands = op.commands if isinstance(op, Capture) else (op,)
        for command in commands:
            if not freed.isdisjoint(buffers_of(command)):
                continue
            if isinstance(command, AnyDispatch) and command.kernel in kernels:
                bindings = zip(kernels[command.kernel].buffers, command.buffers, strict=False)
                names.update(name_of(bound) for one, bound in bindings if one.is_float)
        if isinstance(op, Free):
            freed.add(op.buffer)
        elif isinstance(op, Capture):
            captured[op.graph] = {name for command in commands for name in buffers_of(command)}
        elif isinstance(op, Replay):
            # A swap of what was not captured is refused, and binds nothing.
            known = captured.get(op.graph, set())
            swaps += [(old, new) for old, new in op.bindings if old in known and new not in freed]
    return frozenset(names | {new for old, new in swaps if old in names})


def ordinary_scalars(
    scalars: tuple[int | float, ...], kernel: str, kernels: Mapping[str, Kernel]
) -> tuple[int | float, ...]:
    """Returns the scalars of a dispatch, with each special float among them replaced by 1."""
    if kernel not in kernels or len(scalars) != len(kernels[kernel].scalars):
        return scalars
    dtypes = [scalar.dtype for scalar in kernels[kernel].scalars]
    pairs = zip(dtypes, scalars, strict=True)
    # Not 0, which is equal to minus nought.
    return tuple(_ORDINARY if dtype == "f32" and is_special(one) else one for dtype, one in pairs)


def ordinary_data(offset: int, data: bytes) -> bytes:
    """Returns the data of a write to floats, with each special float in it replaced by 1.

    If ``offset`` is not a multiple of 4, the data is returned as it is.
    """
    if offset % WORD_BYTES:
        return data
    whole = len(data) // WORD_BYTES * WORD_BYTES
    floats = np.frombuffer(data[:whole], dtype="<f4").copy()
    bits = floats.view("<u4")
    exponents = bits & 0x7F800000
    special = (exponents == 0x7F800000) | ((exponents == 0) & (bits != 0))
    if not special.any():
        return data
    floats[special] = _ORDINARY
    return floats.tobytes() + data[whole:]


def with_special_words(program: Program, kernels: Mapping[str, Kernel]) -> Program:
    """``program`` with a special float in every other word that it writes to floats.

    None of them is subnormal: what a kernel makes of a subnormal is not compared.
    """
    reals = real_buffers(program, kernels)
    ops = (
        replace(op, data=_alternating(op.data))
        if isinstance(op, Write) and op.buffer in reals
        else op
        for op in program
    )
    return Program(tuple(ops))


def _alternating(data: bytes) -> bytes:
    words = np.frombuffer(data, dtype="<u4", count=len(data) // WORD_BYTES).copy()
    words[::2] = np.resize(np.array(_WORDS[:-_SUBNORMAL_WORDS], "<u4"), len(words[::2]))
    return words.tobytes() + data[words.nbytes :]


def with_special_floats(
    choices: Choices, program: Program, kernels: Mapping[str, Kernel]
) -> Program:
    """In half of the cases ``program`` with special floats here and there, else unchanged."""
    if not choices.chance(1, 2):
        return program
    reals = real_buffers(program, kernels)
    return Program(tuple(_special(choices, program, reals, kernels)))


def _special(
    choices: Choices, program: Program, reals: frozenset[str], kernels: Mapping[str, Kernel]
) -> Iterator[Op]:
    captured: dict[str, list[Kernel]] = {}
    for op in program:
        match op:
            case Write() if op.buffer in reals and len(op.data) >= WORD_BYTES:
                yield _special_data(choices, op) if choices.chance(1, _WRITES) else op
            case Dispatch() | DispatchIndirect():
                yield _special_command(choices, op, kernels)
            case Capture():
                commands = (_special_command(choices, one, kernels) for one in op.commands)
                dispatches = (one for one in op.commands if isinstance(one, AnyDispatch))
                captured[op.graph] = [kernels[one.kernel] for one in dispatches]
                yield replace(op, commands=tuple(commands))
            case Replay() if op.scalars is not None:
                yield _special_replay(choices, op, captured.get(op.graph, []))
            case _:
                yield op


def _special_data(choices: Choices, op: Write) -> Write:
    at = WORD_BYTES * choices.integer(0, len(op.data) // WORD_BYTES - 1)
    word = struct.pack("<I", choices.pick(_WORDS))
    return replace(op, data=op.data[:at] + word + op.data[at + WORD_BYTES :])


def _special_command(choices: Choices, op: Command, kernels: Mapping[str, Kernel]) -> Command:
    if not isinstance(op, AnyDispatch):
        return op
    return replace(op, scalars=_special_scalars(choices, op.scalars, kernels[op.kernel]))


def _special_replay(choices: Choices, op: Replay, kernels: list[Kernel]) -> Replay:
    """``op`` with special scalars; unchanged if it has, on purpose, a wrong number of entries."""
    entries = op.scalars or ()
    if len(entries) != len(kernels):
        return op
    pairs = zip(entries, kernels, strict=True)
    special = [one if one is None else _special_scalars(choices, one, each) for one, each in pairs]
    return replace(op, scalars=tuple(special))


def _special_scalars(
    choices: Choices, scalars: tuple[int | float, ...], kernel: Kernel
) -> tuple[int | float, ...]:
    """``scalars``, at times with a special float if the kernel is exact and so shows every bit."""
    if kernel.tolerance is not None:
        return scalars
    dtypes = [scalar.dtype for scalar in kernel.scalars]
    places = [at for at, dtype in enumerate(dtypes) if dtype == "f32" and at < len(scalars)]
    if not places or not choices.chance(1, _DISPATCHES):
        return scalars
    changed = [*scalars]
    changed[choices.pick(places)] = choices.pick(_SCALARS)
    try:
        kernel.check_scalars(scalars)
    except InvalidScalar:
        # A scalar is wrong on purpose, so the op is refused.  If the op became right, it would run,
        # and a grid that it reads could be huge.
        return scalars
    return tuple(changed)
