"""What a program means on a device that fails: an op that a fault stopped did not happen.

The reference follows what was shown.  Where the target raised a fault that the
plan can bring about, the op is left out; everything else must be as if those ops
were not in the program, and no byte that was delivered is excused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from gpusim import errors
from gpusim.history import History, Outcome
from gpusim.kernels import Kernels
from gpusim.limits import Limits
from gpusim.program import Grid, Op, Program
from properties.runner import run
from properties.target import Arrived, Capabilities, Delivery
from reference import Reference

LOST = errors.DeviceLost.__name__


def follow(
    program: Program, got: History, kernels: Kernels, limits: Limits, faults: frozenset[str]
) -> History:
    """The history that ``program`` means, given which ops of ``got`` met one of ``faults``.

    ``faults`` are names of error classes.  Once a device is lost it stays so.
    The values have no slack: programs under faults compute no floats.
    """
    follower = _Follower(Reference(kernels, limits), got, faults)
    expected = run(program, follower, after_op=follower.moved_on)
    last = got.closing or got.outcomes[-1]
    if last.error in faults:
        # The last sync did not take place, so reads may still be on their way.
        return replace(expected, deliveries=expected.deliveries[: len(got.deliveries)])
    return expected


@dataclass(frozen=True, slots=True)
class _Failed:
    """A read that was accepted and whose value never came."""

    error: str

    def result(self) -> NoReturn:
        raise getattr(errors, self.error)("as it was shown")

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        callback(self)


class _Follower:
    """The reference as a target, but for the ops that met a fault."""

    capabilities = Capabilities()

    def __init__(self, reference: Reference, got: History, faults: frozenset[str]) -> None:
        self.limits = reference.limits
        self._reference = reference
        self._faults = faults
        self._shown = [*got.outcomes, got.closing or Outcome()]
        self._position = 0
        self._lost = False

    def moved_on(self, position: int, op: Op) -> None:
        """Op ``position`` is over."""
        self._position = position + 1

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self._meet_fault()
        self._reference.alloc(buffer, size_bytes)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._meet_fault()
        self._reference.write(buffer, offset, data)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self._meet_fault()
        self._reference.dispatch(kernel, buffers, scalars, grid)

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self._meet_fault()
        self._reference.copy(source, source_offset, target, target_offset, size_bytes)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        self._meet_fault()
        data = self._reference.read(buffer, offset, size_bytes).data
        late = self._shown[self._position].late_error
        return _Failed(late) if late in self._faults else Arrived(data)

    def free(self, buffer: str) -> None:
        if not self._lost:
            self._meet_fault(after_loss=False)
        self._reference.free(buffer)

    def flush(self) -> None:
        self._meet_fault()

    def sync(self) -> None:
        self._meet_fault()

    def close(self) -> None:
        """Nothing is held."""

    def _meet_fault(self, after_loss: bool = True) -> None:
        """Raise the fault that was shown, or that the device is lost."""
        shown = self._shown[self._position].error
        self._lost |= after_loss and shown == LOST and LOST in self._faults
        if self._lost:
            raise errors.DeviceLost("as it was shown")
        if shown in self._faults:
            raise getattr(errors, str(shown))("as it was shown")
