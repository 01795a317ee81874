"""A device that fails, and one that does not: what no fault stopped is the same.

Here the faults decide what is left out.  An op that raises a fault did not happen, so that the
program without those ops, on a device without faults, must show what the others showed.
"""

from collections.abc import Callable
from dataclasses import replace

from gpusim.history import History, Outcome
from gpusim.ops import Alloc, Capture, Replay, Sync
from gpusim.program import Program, buffers_of
from gpusim.simulated import NO_FAULTS
from properties.execute import name_of
from properties.model.case import Case, Image
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.oracles.metamorphic.compare import compare_image
from properties.oracles.metamorphic.image import Rewriting


def judge_without_faults(shown: Execution, again: Callable[[Case], Execution]) -> Failure | None:
    """Where a case on a device that fails shows what no fault explains.

    ``again`` executes the case without its faults, and without what they stopped.
    """
    faults = shown.case.device.shown_faults
    image = _without_stopped(shown.case.plain, shown.history, faults)
    if image is None:
        return None
    sound = again(image.case)
    error = shown.close_error
    excused = replace(
        shown,
        history=_excused(shown.history, faults),
        close_error=None if error is not None and name_of(error) in faults else error,
    )
    failure = compare_image(image, excused, _until(shown.case.program, excused, sound))
    if failure is None:
        return None
    note = "with: no fault, and without the ops that one stopped"
    return replace(failure, notes=(*failure.notes, note))


def _without_stopped(case: Case, history: History, faults: frozenset[str]) -> Image | None:
    """The case without the ops that met a fault, and without what hung on their buffers."""
    rewriting = Rewriting(replace(case, device=replace(case.device, faults=NO_FAULTS)))
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
