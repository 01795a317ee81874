"""Children: programs that were kept, changed at a few places.

A change keeps a program well formed.  A program in which integers would meet floats is given up,
since the comparison of floats has a tolerance.  What is worth keeping is decided elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Capture,
    Command,
    Copy,
    Dispatch,
    DispatchIndirect,
    Flush,
    Free,
    Op,
    Operand,
    Read,
    Replay,
    Sync,
    Write,
    name_of,
)
from gpusim.program import Program, buffers_of, renamed
from gpusim.runtime.policy import PRESETS
from properties.generate.cases import _FIELDS, ALL_PROMISED, draw_policy
from properties.generate.choices import Choices, Weights
from properties.generate.fitting import fitted
from properties.generate.floats import real_buffers
from properties.generate.operands import EDGES, nonce_bytes
from properties.model.case import Case
from properties.shrink.rewriting import without

MOST_OPS = 160
"""Longer programs are neither kept nor made."""
_MOST_REAL_DISPATCHES, _REAL_OF_A_REPLAY = 24, 3
_MOST_BUFFER_BYTES, _MOST_DATA_BYTES = 1 << 16, 1 << 14
_FIRST_NONCE, _NONCES = 7000, 500
_POLICY_FIELDS = tuple(name for name in _FIELDS if name != "debug_submit_each")

Pick = Callable[[Choices], Case]


def child(choices: Choices, pick: Pick, number: int, seed: str, limits: Limits) -> Case | None:
    """A kept case with one to four changes; None where nothing comes of it.

    ``pick`` gives a kept case, ``limits`` are the device's, and ``number`` makes names distinct.
    """
    parent = pick(choices)
    changing = _Changing(choices, parent, pick, number)
    for _ in range(choices.pick((1, 2, 3, 4))):
        before = [*changing.ops]
        choices.weighted(_CHANGES)(changing)
        if not _is_well_formed(changing.ops):
            changing.ops = before
    program = Program(tuple(changing.ops))
    is_same = (program, changing.policy) == (parent.program, parent.policy)
    if is_same or not _keeps_floats_apart(program):
        return None
    if any(isinstance(op, DispatchIndirect | Capture) for op in program):
        held = parent.device.held(limits).within(changing.policy.memory_budget_bytes)
        program = fitted(program, ALL_PROMISED, BUILTIN, held)
    return replace(parent, program=program, policy=changing.policy, seed=seed)


class _Changing:
    """The ops and the policy of a child, as they change."""

    def __init__(self, choices: Choices, case: Case, pick: Pick, number: int) -> None:
        self.ops: list[Op] = [*case.program]
        self.policy = case.policy
        self._choices, self._pick, self._number = choices, pick, number
        self._real = real_buffers(case.program, BUILTIN)
        self._results = 0

    def repeat(self) -> None:
        """A few ops once more or several times, at once or later."""
        start, end = self._span(8)
        piece = [op for op in self.ops[start:end] if not isinstance(op, Alloc | Free | Capture)]
        times = self._choices.pick((1, 1, 2, 3, 8))
        at = self._choices.pick((end, end, self._choices.integer(end, len(self.ops))))
        for _ in range(times):
            if len(self.ops) + len(piece) <= MOST_OPS:
                self.ops[at:at] = map(self._with_result, piece)

    def delete(self) -> None:
        """A few ops less, and what depends on them."""
        self.ops = [*without(Program(tuple(self.ops)), range(*self._span(6)))]

    def move(self) -> None:
        """A few ops elsewhere."""
        start, end = self._span(4)
        piece = self.ops[start:end]
        if not any(isinstance(op, Alloc | Capture) for op in piece):
            rest = self.ops[:start] + self.ops[end:]
            at = self._choices.integer(0, len(rest))
            self.ops = rest[:at] + piece + rest[at:]

    def add_boundary(self) -> None:
        """A flush or sync more."""
        at = self._choices.integer(0, len(self.ops))
        boundaries: tuple[Op, ...] = (Flush(), Sync(), Flush())
        self.ops.insert(at, self._choices.pick(boundaries))

    def drop_boundary(self) -> None:
        """A flush or sync less."""
        places = self._places(Flush, Sync)
        if places:
            del self.ops[self._choices.pick(places)]

    def splice(self) -> None:
        """The ops of another kept program, over buffers of their own."""
        choices, other = self._choices, self._pick(self._choices)
        if len(other.program) > MOST_OPS:
            return
        prefix = f"{choices.pick(('s', 't', 'u', 'v'))}{self._number}_"
        ops = [_apart(op, prefix) for op in other.program]
        at = choices.integer(1, len(self.ops))
        if choices.chance(1, 2):
            ops = ops[: choices.integer(1, len(ops))]
        if choices.chance(1, 3):
            self.ops = self.ops[:at]
        ops = ops[: max(0, MOST_OPS - len(self.ops))]
        if choices.chance(1, 2):
            self.ops[at:at] = ops
            return
        for op in ops:
            self.ops.insert(at, op)
            at = min(len(self.ops), at + 1 + choices.integer(0, 2))

    def rename(self) -> None:
        """Another live buffer in one op."""
        at = self._choices.integer(0, len(self.ops) - 1)
        op = self.ops[at]
        names = buffers_of(op)
        if isinstance(op, Alloc | Capture) or not names:
            return
        old = self._choices.pick(names)
        alike = [one for one in _live(self.ops[:at]) if (one in self._real) == (old in self._real)]
        if alike and not isinstance(op, Replay):
            self.ops[at] = renamed(op, {old: self._choices.pick(alike)})

    def renumber(self) -> None:
        """Another offset or size in one op; in a dispatch, another's grid or scalars."""
        at = self._choices.integer(0, len(self.ops) - 1)
        op = self.ops[at]
        numbers = (Operand.OFFSET, Operand.SIZE)
        names = [name for name, what in VERBS[type(op)].operands.items() if what in numbers]
        if isinstance(op, Dispatch):
            other = self._choices.pick([one for one in self.ops if isinstance(one, Dispatch)])
            if self._choices.chance(1, 2):
                self.ops[at] = replace(op, grid=other.grid)
            elif other.kernel == op.kernel:
                self.ops[at] = replace(op, scalars=other.scalars)
        elif names and not isinstance(op, DispatchIndirect):
            name = self._choices.pick(names)
            number = max(0, self._number_near(op, getattr(op, name)))
            number = min(number, _MOST_BUFFER_BYTES) if isinstance(op, Alloc) else number
            changed: dict[str, Any] = {name: number}
            self.ops[at] = replace(op, **changed)

    def _number_near(self, op: Op, value: int) -> int:
        is_real = any(name in self._real for name in buffers_of(op))
        unit = WORD_BYTES if is_real else self._choices.pick((1, WORD_BYTES))
        edge = self._choices.pick(EDGES) // unit * unit
        half = value // 2 // unit * unit
        return self._choices.pick((value + unit, value - unit, 0, value * 2, half, edge))

    def rewrite(self) -> None:
        """Other data in one write, at times of another length."""
        places = [
            at
            for at, op in enumerate(self.ops)
            if isinstance(op, Write) and op.buffer not in self._real
        ]
        if not places:
            return
        at = self._choices.pick(places)
        op = self.ops[at]
        assert isinstance(op, Write)
        size = len(op.data)
        size = self._choices.pick((size, size + 1, max(0, size - 1), WORD_BYTES, size * 2))
        nonce = _FIRST_NONCE + self._choices.integer(0, _NONCES)
        self.ops[at] = replace(op, data=nonce_bytes(nonce, min(size, _MOST_DATA_BYTES)))

    def reuse_kernel(self) -> None:
        """One dispatch with the kernel, scalars and grid of another."""
        places = self._places(Dispatch)
        if len(places) < 2:
            return
        at, from_ = self._choices.pick(places), self._choices.pick(places)
        op, other = self.ops[at], self.ops[from_]
        assert isinstance(op, Dispatch)
        assert isinstance(other, Dispatch)
        is_real = [{*buffers_of(one)} <= self._real for one in (op, other)]
        if len(op.buffers) == len(other.buffers) and is_real[0] == is_real[1]:
            self.ops[at] = replace(other, buffers=op.buffers)

    def change_policy(self) -> None:
        """Another number in the policy."""
        name = self._choices.pick(_POLICY_FIELDS)
        changed: dict[str, Any] = {name: _FIELDS[name](self._choices)}
        self.policy = replace(self.policy, name="custom", **changed)

    def draw_policy(self) -> None:
        """Another policy."""
        self.policy = draw_policy(self._choices, self._choices.pick(tuple(PRESETS.values())))

    def _span(self, most: int) -> tuple[int, int]:
        start = self._choices.integer(0, len(self.ops) - 1)
        return start, min(len(self.ops), start + self._choices.integer(1, most))

    def _places(self, *kinds: type[Op]) -> list[int]:
        return [at for at, op in enumerate(self.ops) if isinstance(op, kinds)]

    def _with_result(self, op: Op) -> Op:
        if not isinstance(op, Read):
            return op
        self._results += 1
        return replace(op, result=f"x{self._results - 1}q")


_CHANGES: Weights[Callable[[_Changing], None]] = Weights(
    (_Changing.repeat, 4),
    (_Changing.delete, 2),
    (_Changing.move, 2),
    (_Changing.add_boundary, 1),
    (_Changing.drop_boundary, 1),
    (_Changing.splice, 4),
    (_Changing.rename, 4),
    (_Changing.renumber, 3),
    (_Changing.rewrite, 1),
    (_Changing.reuse_kernel, 2),
    (_Changing.change_policy, 3),
    (_Changing.draw_policy, 1),
)


def _is_well_formed(ops: Sequence[Op]) -> bool:
    try:
        Program(tuple(ops))
    except ProgramError:
        return False
    return bool(ops)


def _apart(op: Op, prefix: str) -> Op:
    """The op with ``prefix`` before its names."""
    match op:
        case Read():
            op = replace(op, result=prefix + op.result)
        case Capture() | Replay():
            op = replace(op, graph=prefix + op.graph)
    return renamed(op, {name: prefix + name for name in buffers_of(op)})


def _live(ops: Sequence[Op]) -> list[str]:
    live: dict[str, None] = {}
    for op in ops:
        if isinstance(op, Alloc):
            live[op.buffer] = None
        elif isinstance(op, Free):
            live.pop(op.buffer, None)
    return [*live]


def _keeps_floats_apart(program: Program) -> bool:
    """Whether no integer meets a float, and floats go through few dispatches."""
    real, dispatches = real_buffers(program, BUILTIN), 0
    for op in program:
        commands = op.commands if isinstance(op, Capture) else (op,)
        if not all(_is_apart(command, real) for command in commands):
            return False
        for command in commands:
            is_dispatch = isinstance(command, AnyDispatch)
            dispatches += is_dispatch and any(name in real for name in _bound(command))
        if isinstance(op, Replay):
            dispatches += _REAL_OF_A_REPLAY
            if any((old in real) != (new in real) for old, new in op.bindings):
                return False
    return dispatches <= _MOST_REAL_DISPATCHES


def _bound(command: Op | Command) -> list[str]:
    """What a dispatch binds, as far as its kernel has a place for it."""
    if not isinstance(command, AnyDispatch):
        return []
    places = zip(command.buffers, BUILTIN[command.kernel].buffers, strict=False)
    return [name_of(bound) for bound, _ in places]


def _is_apart(op: Op, real: frozenset[str]) -> bool:
    match op:
        case Write():
            return op.buffer not in real or not (op.offset % 4 or len(op.data) % 4)
        case Copy():
            numbers = op.source_offset, op.target_offset, op.size_bytes
            aligned = not any(number % WORD_BYTES for number in numbers)
            return (op.source in real) == (op.target in real) and (op.source not in real or aligned)
        case Dispatch() | DispatchIndirect():
            bindings = BUILTIN[op.kernel].buffers
            pairs = zip(bindings, _bound(op), strict=False)
            return all((binding.dtype == "f32") == (name in real) for binding, name in pairs)
    return True
