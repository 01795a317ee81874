"""A hypothesis: one mistake that would make a program show what came back.

A hypothesis changes the steps of a program and says in a sentence what went wrong.  It holds if the
changed steps show exactly the history that the target showed.  Its key names the mistake and holds
no bytes, so that the same mistake can be found again in a program with other data.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gpusim.ops import Op
from gpusim.text import write_op
from properties.explain.scene import Scene, Step, Steps
from properties.oracles.laws.catalogue import Law

Key = tuple[str, int, int, str]
ALIGNMENTS = (4, 8, 16, 32, 64, 256)
"""Runtimes round offsets and sizes to multiples of these numbers of bytes."""
_SHOWN = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """One mistake, and the steps of the program as they take effect if the mistake is made.

    ``kind``: a word for the sort of the mistake.  ``culprit``: the op that went wrong.  ``other``:
    the op that takes part, for instance by overtaking; -1 without such an op.  ``detail``:
    what distinguishes the mistake from others of its kind.
    """

    kind: str
    culprit: int
    other: int = -1
    detail: str = ""
    sentence: str
    why: str = ""
    """What the mistake does to the bytes."""
    rule: Law
    steps: Steps
    lends: tuple[tuple[str, str], ...] = ()
    """Pairs of results: the first shows the bytes of the second.

    If "" stands in the place of the second, the first shows zeros.
    """
    lends_whole: bool = False
    """Whether the first result of each pair in ``lends`` also has the size of the second."""

    @property
    def key(self) -> Key:
        """What names the mistake, also in a program of the same ops with other data."""
        return self.kind, self.culprit, self.other, self.detail


def without(steps: Steps, at: int) -> Steps:
    """The steps without the step at ``at``."""
    return steps[:at] + steps[at + 1 :]


def moved(steps: Steps, start: int, to: int) -> Steps:
    """The steps with the step at ``start`` moved to the place of the step at ``to``."""
    rest = without(steps, start)
    return (*rest[:to], steps[start], *rest[to:])


def changed(steps: Steps, at: int, *instead: Step) -> Steps:
    """The steps with ``instead`` in the place of the step at ``at``."""
    return (*steps[:at], *instead, *steps[at + 1 :])


def named(step: Step) -> str:
    """The step for a reader: ``op 3``, or ``command 1 of op 4``."""
    return (
        f"op {step.number}" if step.command < 0 else f"command {step.command} of op {step.number}"
    )


def quoted(step: Step) -> str:
    """The step with its text, which is cut if it is long."""
    text = write_op(step.op)
    return f"{named(step)} ({text if len(text) <= _SHOWN else text[:_SHOWN] + '...'})"


def with_ops(
    scene: Scene,
    at: int,
    ops: Op | Iterable[Op],
    kind: str,
    rule: Law,
    said: str,
    other: int = -1,
    detail: str | None = None,
) -> Hypothesis:
    """A hypothesis in which ``ops`` take effect in the place of the step at ``at``.

    ``said``: what went wrong, as the end of a sentence that begins with the step.  ``detail``: what
    distinguishes the mistake from others of its kind; ``said`` does so if ``detail`` is None.
    """
    step = scene.steps[at]
    instead = (ops,) if isinstance(ops, Op) else ops
    return Hypothesis(
        kind=kind,
        culprit=step.number,
        other=other,
        detail=f"{step.command} {said if detail is None else detail}",
        sentence=f"{quoted(step)} {said}",
        rule=rule,
        steps=changed(scene.steps, at, *(step._replace(op=op) for op in instead)),
    )
