"""A run: a planned sequence of dispatches and word copies.

A run knows the place of each command's uniforms and the bytes that each command moves, so it can be
split when a batch is full.  ``RunUniforms`` packs the scalars of all commands at once.  A run is
pure data over plans; ``recorder`` records it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from gpusim.kernels.kernel import F32_MAX
from gpusim.ops import Scalars
from gpusim.runtime.batch import Batch
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.byte_plans import aligned_up
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand, RecordedCommand
from gpusim.runtime.plans import DispatchPlan

_MOST_PARTS = 64


class WordCopy(NamedTuple):
    """A copy of whole words, and the user's buffer that it writes."""

    command: CopyCommand
    target: Buffer


class Run:
    """The steps of a run, and the parts of it that were recorded before, to be used again.

    Its commands bind the uniform buffer ``ring``.  Once the ring is another buffer, the recorder
    binds the run again.
    """

    def __init__(self, steps: Sequence[DispatchPlan | WordCopy], alignment_bytes: int) -> None:
        self.steps = tuple(steps)
        self.strides = [aligned_up(_uniform_bytes(step), alignment_bytes) for step in self.steps]
        self.starts = [0, *accumulate(self.strides)]
        """The offset of each step's uniforms; and last, where the uniforms of the last step end."""
        self.moved = [0, *accumulate(map(_moved_bytes, self.steps))]
        """For each step, the bytes that the steps before it move, as a batch counts them."""
        self.groups = [0, *accumulate(map(_launched, self.steps))]
        """For each step, the workgroups that the steps before it launch."""
        self.written = tuple(dict.fromkeys(_written(self.steps)))
        """The user's buffers that its steps write."""
        self.ring: DeviceBuffer | None = None
        self.is_bound = False
        self._commands: list[RecordedCommand] = []
        self._parts: dict[tuple[int, int, int], Batch] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def bind(self, ring: DeviceBuffer | None, commands: list[RecordedCommand]) -> None:
        """Set the commands of all steps, whose uniforms lie in ``ring`` from byte 0 on."""
        self.ring, self.is_bound = ring, True
        self._commands = commands
        self._parts.clear()

    def part(self, start: int, stop: int, offset: int) -> Batch:
        """Steps ``start`` to ``stop`` as a batch; their uniforms begin at ``offset``."""
        key = start, stop, offset
        part = self._parts.get(key)
        if part is None:
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            part = self._parts[key] = self._record(start, stop, offset - self.starts[start])
        return part

    def _record(self, start: int, stop: int, shift: int) -> Batch:
        part = Batch()
        for step, command in zip(self.steps[start:stop], self._commands[start:stop], strict=True):
            if isinstance(step, WordCopy):
                part.record_copy(step.command, (step.target,))
            else:
                assert isinstance(command, DispatchCommand)
                part.record_dispatch(command.shifted(shift), step)
        return part


class RunUniforms:
    """Packs the scalars of all dispatches of a run, each padded to its stride in bytes.

    If each scalar is a plain int or float, as its kernel declares it, all are packed at once.
    Otherwise each kernel packs its own: it accepts other types of numbers, such as NumPy's, and
    refuses wrong scalars.  A dispatch over no groups has scalars to check, but no uniforms.
    """

    def __init__(self, plans: Sequence[DispatchPlan], alignment_bytes: int) -> None:
        self._plans = tuple(plans)
        self._alignment_bytes = alignment_bytes
        scalars = [scalar for plan in plans for scalar in plan.kernel.scalars]
        self._counts = [len(plan.kernel.scalars) for plan in plans]
        self._types = [float if scalar.is_float else int for scalar in scalars]
        self._floats = [at for at, scalar in enumerate(scalars) if scalar.is_float]
        self._packer = None if any(map(_is_special, plans)) else self._packer_of_all()

    def pack(self, entries: Sequence[Scalars]) -> bytes:
        """The uniforms, from the scalars of each dispatch; InvalidScalar for the first bad entry.

        Integers out of range have no check of their own here: the packer refuses them, and then
        ``Kernel.pack`` raises the error.
        """
        if self._packer is not None and [*map(len, entries)] == self._counts:
            scalars = [*chain.from_iterable(entries)]
            if [*map(type, scalars)] == self._types and self._are_finite(scalars):
                try:
                    return self._packer.pack(*scalars)
                except (StructError, OverflowError):
                    pass
        return self._pack_each(entries)

    def _pack_each(self, entries: Sequence[Scalars]) -> bytes:
        payloads = [
            plan.kernel.pack(scalars, plan.groups)
            for plan, scalars in zip(self._plans, entries, strict=True)
        ]
        plans = zip(self._plans, payloads, strict=True)
        return b"".join(
            [payload.ljust(self._stride(plan), b"\0") for plan, payload in plans if plan.groups]
        )

    def _packer_of_all(self) -> Struct:
        codes = [
            f"{plan.kernel.uniform_format}{self._stride(plan) - plan.uniform_bytes}x"
            for plan in self._plans
        ]
        return Struct("<" + "".join(codes))

    def _stride(self, plan: DispatchPlan) -> int:
        return aligned_up(plan.uniform_bytes, self._alignment_bytes)

    def _are_finite(self, scalars: Sequence[int | float]) -> bool:
        return all([abs(scalars[at]) <= F32_MAX for at in self._floats])


def _uniform_bytes(step: DispatchPlan | WordCopy) -> int:
    return 0 if isinstance(step, WordCopy) else step.uniform_bytes


def _moved_bytes(step: DispatchPlan | WordCopy) -> int:
    return step.command.size_bytes if isinstance(step, WordCopy) else step.uniform_bytes


def _launched(step: DispatchPlan | WordCopy) -> int:
    return 0 if isinstance(step, WordCopy) else step.launched


def _written(steps: Iterable[DispatchPlan | WordCopy]) -> Iterator[Buffer]:
    for step in steps:
        yield from (step.target,) if isinstance(step, WordCopy) else step.written


def _is_special(plan: DispatchPlan) -> bool:
    """Whether its uniforms are not just its scalars.

    A guarded kernel adds the number of groups, and a dispatch over no groups has no uniforms.
    """
    return plan.kernel.guarded or not plan.groups
