"""Small targets that each promise something else, and their twins with one mistake each.

A target works on the reference, so it is sound where its promise demands that.  It uses every
freedom that its promise gives, and fails loudly where it is asked for more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpusim.errors import GpusimError
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Alloc, Capture, Copy, Dispatch, Op, Read, Replay, Sync, Write, name_of
from properties.fuzz.variants import with_foreign_client
from properties.generate.cases import CaseSettings, case_for
from properties.generate.floats import is_special
from properties.model.capabilities import Arrival, Capabilities, Refusal
from properties.model.case import NO_POLICY
from properties.model.failure import Failure
from properties.model.target import Arrived, Delivery, InArray
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory
from reference import Reference

_LIMITS = Limits()


class Unasked(Exception):
    """The target was asked for what it does not promise."""


class Pending:
    """A read or a sync that ends later; ``patient``: it may be asked for before that."""

    def __init__(self, data: bytes = b"", *, patient: bool = True) -> None:
        self.data = data
        self._may_ask, self._has_ended = patient, False
        self._callbacks: list[Callable[[Delivery], None]] = []

    def end(self) -> None:
        """It has ended."""
        self._may_ask = self._has_ended = True
        for callback in self._callbacks:
            callback(self)
        self._callbacks.clear()

    def result(self) -> bytes:
        if not self._may_ask:
            raise Unasked("a read is asked for before a sync")
        return self.data

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        if self._has_ended:
            callback(self)
        else:
            self._callbacks.append(callback)


class Telling(Pending):
    """A sync that tells of what went wrong before it."""

    def result(self) -> bytes:
        raise RuntimeError("something went wrong before")


class Small:
    """The reference, with what ``capabilities`` leave open done in its own way."""

    limits = _LIMITS

    def __init__(self, capabilities: Capabilities, *, raises: bool = True) -> None:
        self.capabilities = capabilities
        self._raises = raises
        self._inner = Reference(BUILTIN, self.limits)
        self._owes = False
        self.waiting: list[Pending] = []

    def perform(self, op: Op) -> Delivery | None:
        """Carry it out, or do what the promise leaves open."""
        self._check(op)
        if isinstance(op, Sync):
            self.settle()
        if isinstance(op, Sync) and self._owes:
            self._owes = False
            raise RuntimeError("something went wrong before")
        try:
            delivery = self._inner.perform(op)
        except GpusimError as error:
            return self._refuse(op, error)
        return None if delivery is None else self.arriving(delivery.data)

    def arriving(self, data: bytes) -> Delivery:
        """A read that has the value, and gives it when that was promised."""
        read = Pending(data, patient=self.capabilities.delivery is Arrival.TICKET)
        self.waiting.append(read)
        return read

    def settle(self) -> None:
        """A sync has returned."""
        for read in self.waiting:
            read.end()
        self.waiting.clear()

    def perform_into(self, op: Read, array: bytearray) -> Delivery:
        """A read into a host array of the caller's."""
        if self.capabilities.delivery is not Arrival.ARRAY:
            raise Unasked("a host array is named")
        delivery = self.perform(op)
        if isinstance(delivery, Pending):
            array[: op.size_bytes] = delivery.data
        return InArray(array, op.size_bytes)

    def begin_sync(self) -> Pending:
        """A sync that is over when it begins."""
        if not self.capabilities.concurrent_syncs:
            raise Unasked("syncs overlap")
        self.settle()
        owes, self._owes = self._owes, False
        return Telling() if owes else Pending()

    def close(self) -> None:
        """Nothing is kept."""

    def _refuse(self, op: Op, error: GpusimError) -> Delivery | None:
        level = self.capabilities.refusal(type(error).__name__)
        if level is Refusal.NOT_ASKED:
            raise Unasked(f"{op} raises {error!r}")
        if level is Refusal.EXACT:
            raise error
        self._owes |= level is Refusal.NEXT_SYNC or not self._raises
        if self._raises:
            raise KeyError("a word of its own")
        return Arrived(b"garbage") if isinstance(op, Read) else None

    def _check(self, op: Any) -> None:
        promised = self.capabilities
        match op:
            case Alloc():
                self._units(op, (op.size_bytes, promised.buffer_size_bytes))
            case Write():
                self._units(op, (op.offset, promised.write_offset_bytes))
                self._units(op, (len(op.data), promised.write_size_bytes))
                if not isinstance(op.data, bytes) and not promised.host_arrays:
                    raise Unasked("a write is from an array of the caller's")
            case Read():
                self._units(op, (op.offset, promised.read_offset_bytes))
                self._units(op, (op.size_bytes, promised.read_size_bytes))
            case Capture() | Replay() if not promised.replays:
                raise Unasked(str(op))
            case Capture():
                for command in op.commands:
                    self._check(command)
            case Copy():
                self._units(op, (op.source_offset, promised.copy_offset_bytes))
                self._units(op, (op.target_offset, promised.copy_offset_bytes))
                self._units(op, (op.size_bytes, promised.copy_size_bytes))
                self._check_within(op)
            case Dispatch():
                self._check_dispatch(op)

    def _units(self, op: Op, *pairs: tuple[int, int]) -> None:
        if any(number % unit for number, unit in pairs):
            raise Unasked(f"{op} is no multiple")
        sizes = (getattr(op, "size_bytes", 1), len(getattr(op, "data", b"x")))
        if not all(sizes) and not self.capabilities.empty_ops:
            raise Unasked(f"{op} is empty")

    def _check_within(self, op: Copy) -> None:
        if op.source != op.target:
            return
        apart = abs(op.source_offset - op.target_offset) >= op.size_bytes
        allowed = self.capabilities.copies_within if apart else self.capabilities.overlapping_copies
        if not allowed:
            raise Unasked(f"{op} stays within a buffer")

    def _check_dispatch(self, op: Dispatch) -> None:
        promised = self.capabilities
        if not promised.special_floats:
            self._check_floats(op)
        if promised.kernels and op.kernel not in promised.kernels:
            raise Unasked(f"{op.kernel} is not offered")
        if min(op.grid) >= 0 and any(each > 1 for each in op.grid[promised.grid_dimensions :]):
            raise Unasked(f"{op.grid} has a dimension too many")
        is_wide = max(op.grid) > self.limits.max_groups_per_dimension
        if is_wide and BUILTIN[op.kernel].guarded and not promised.spreads_grids:
            raise Unasked(f"{op.grid} is to be spread")

    def _check_floats(self, op: Dispatch) -> None:
        kernel = BUILTIN[op.kernel]
        scalars = zip(kernel.scalars, op.scalars, strict=False)
        if any(one.dtype == "f32" and is_special(value) for one, value in scalars):
            raise Unasked(f"{op} has a special float")
        for binding, name in zip(kernel.buffers, op.buffers, strict=False):
            block = self._inner._blocks.get(name_of(name))
            if binding.dtype == "f32" and block is not None:
                words = block.data[: 4 * block.words].view("<f4")
                tiny = float(np.finfo(np.float32).tiny)
                if not np.all(np.isfinite(words) & ((words == 0) | (abs(words) >= tiny))):
                    raise Unasked(f"{name} holds special floats")


Perform = Callable[[Op], Delivery | None]
Twin = Callable[[Small], Perform]
"""Carries out ops in place of the sound target's own way, with a mistake."""


def changing(change: Callable[[Small, Any], Op | None]) -> Twin:
    """A twin that carries out other ops: none where ``change`` gives none."""

    def twin(target: Small) -> Perform:
        sound = target.perform

        def perform(op: Op) -> Delivery | None:
            changed = change(target, op)
            return None if changed is None else sound(changed)

        return perform

    return twin


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A promise, how a sound target uses it, and the twin that breaks it."""

    name: str
    capabilities: Capabilities
    twin: Twin
    raises: bool = True

    def sound(self, device: Any, kernels: Any) -> Small:
        """A target that keeps to the promise."""
        return Small(self.capabilities, raises=self.raises)

    def broken(self, device: Any, kernels: Any) -> Small:
        """The same with the mistake in it."""
        target = Small(self.capabilities, raises=self.raises)
        target.perform = self.twin(target)  # type: ignore[method-assign,assignment]
        return target


def failures(pair: Pair, make: Any, programs: int) -> list[tuple[int, Failure]]:
    """The first failure of a target that ``make`` makes, with the number of its program."""
    factory = AdapterFactory("simulated", make_target=make)
    promises = pair.capabilities
    setting = CaseSettings(
        device="simulated", limits=factory.limits, promises=promises, target="small"
    )
    for number in range(programs):
        case = replace(case_for(11, number, setting), policy=NO_POLICY)
        case = with_foreign_client(case, promises, BUILTIN, factory.limits)
        failure = judge(case, factory, MEANING_ONLY).failure
        if failure is not None:
            return [(number, failure)]
    return []
