"""A device that fails, and one that does not: what no fault stopped is the same.

The other relations change a case beforehand; here the faults decide what is left
out.  An op that raises a fault did not happen, so that the program without
those ops, on a device without faults, must show what the others showed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN, Kernel
from gpusim.program import Alloc, Capture, Program, Replay, Sync, buffers_of
from gpusim.simulated import NO_FAULTS
from properties.case import Case
from properties.oracles.metamorphic.compare import Violation, compare_image
from properties.oracles.metamorphic.execution import Execution, Executor
from properties.oracles.metamorphic.image import Image, Rewriting
from properties.session.devices import parse_simulated, shown_faults


@dataclass(frozen=True, kw_only=True, slots=True)
class WithoutFaults:
    """The faults of the device, and the ops that they stop, left out.

    It stands in a case for ``judge_without_faults``: which ops those are is known
    only once the case was run.
    """

    name: ClassVar[str] = "without_faults"

    @property
    def words(self) -> str:
        return "no fault, and without the ops that one stopped"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        """None: nothing can be left out beforehand."""
        return None


def judge_without_faults(
    case: Case, executor: Executor, kernels: Mapping[str, Kernel] = BUILTIN
) -> Violation | None:
    """Where a case on a simulated device that fails shows what no fault explains."""
    faults = shown_faults(case.device)
    case = replace(case, transformations=())
    shown = executor(case)
    image = _without_stopped(case, shown.history, faults)
    if image is None:
        return None
    sound = executor(image.case)
    shown = replace(
        shown,
        history=_excused(shown.history, faults),
        closed_with="" if shown.closed_with in faults else shown.closed_with,
    )
    return compare_image(case.program, image, shown, _until(case.program, shown, sound), kernels)


def _without_stopped(case: Case, history: History, faults: frozenset[str]) -> Image | None:
    """The case without the ops that met a fault, and without what hung on their buffers."""
    device = str(replace(parse_simulated(case.device), faults=NO_FAULTS))
    rewriting = Rewriting(replace(case, device=device))
    missing: set[str] = set()
    no_graphs: set[str] = set()
    for op, outcome in zip(case.program, history.outcomes, strict=True):
        stopped = outcome.error in faults
        if stopped and isinstance(op, Alloc):
            missing.add(op.buffer)
        hangs = not missing.isdisjoint(buffers_of(op))
        if isinstance(op, Capture) and (stopped or hangs):
            no_graphs.add(op.graph)
        hangs |= isinstance(op, Replay) and op.graph in no_graphs
        if stopped or outcome.late_error in faults or hangs:
            rewriting.drop()
        else:
            rewriting.keep(op)
    return rewriting.image()


def _excused(history: History, faults: frozenset[str]) -> History:
    """The history without a closing sync that a fault stopped."""
    closing = history.closing
    if closing is not None and closing.error in faults:
        return replace(history, closing=None)
    return history


def _until(program: Program, shown: Execution, sound: Execution) -> Execution:
    """Where no last sync took place, reads may still be on their way: compare those that came."""
    before, after = shown.history, sound.history
    last = before.closing or (before.outcomes[-1] if before.outcomes else Outcome())
    if (before.closing is not None or isinstance(program[-1], Sync)) and last.error is None:
        return sound
    arrived = tuple(name for name in after.deliveries if name in before.deliveries)
    return replace(sound, history=replace(after, deliveries=arrived))
