"""Hypotheses about order: a step that overtook another, was left out, or ran twice.

These are the mistakes of deferral.  A host write acts at once and a command acts later, so a write
may overtake a command.  A batch may be lost, or submitted twice.
"""

from collections.abc import Iterator

from gpusim.ops import (
    HOST_WRITES,
    Alloc,
    AnyDispatch,
    Capture,
    Copy,
    Flush,
    Free,
    Read,
    Replay,
    Sync,
    Write,
)
from properties.explain.hypothesis import Hypothesis, moved, named, quoted, without
from properties.explain.scene import Scene, Step
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import Law

_STILL = (Flush, Sync, Capture, Replay)
"""Ops that move no bytes; a replay is a step of its own only if it is refused."""
_ENDS_BATCH = (Flush, Sync, *HOST_WRITES, Free)
"""Ops before which a batch is likely to be submitted."""
_MOST_STEPS = 60
"""In a longer program, only steps that stand near each other are swapped."""


def orders(scene: Scene) -> Iterator[Hypothesis]:
    """For each two steps whose order matters: the second came too early, or the first too late."""
    steps = scene.steps
    reach = len(steps) if len(steps) <= _MOST_STEPS else _MOST_STEPS // 4
    for first in range(len(steps)):
        if isinstance(steps[first].op, _STILL):
            continue
        for last in range(first + 1, min(len(steps), first + reach)):
            if not scene.meets(steps[first], steps[last]):
                continue
            yield _crossed(scene, first, last, moved(steps, last, first), "early")
            if last > first + 1:
                yield _crossed(scene, first, last, moved(steps, first, last), "late")


def _crossed(
    scene: Scene, first: int, last: int, steps: tuple[Step, ...], detail: str
) -> Hypothesis:
    one, other = scene.steps[first], scene.steps[last]
    between = scene.steps[first + 1 : last] if detail == "late" else ()
    missed = next((each for each in between if _reads_from(scene, each, one)), None)
    said = f"{quoted(other)} overtook {quoted(one)}"
    if missed is not None:
        said += ", which took effect only after it"
    return Hypothesis(
        kind="order",
        culprit=one.number,
        other=other.number,
        detail=f"{one.command} {other.command} {detail}",
        sentence=said,
        why=_what_follows(scene, one, other if missed is None else missed),
        rule=_rule_of(scene, one, other),
        steps=steps,
    )


def _what_follows(scene: Scene, one: Step, other: Step) -> str:
    """What the crossing of two steps did, in words."""
    first, second = named(one), named(other)
    if isinstance(one.op, Alloc):
        return f"so {first} cleared what {second} had written"
    if _reads_from(scene, one, other):
        return f"so {first} {_used(one)} what {second} wrote"
    if _reads_from(scene, other, one):
        return f"so {second} {_used(other)} the bytes from before {first}"
    return f"so {first} wrote over what {second} had written"


def _used(step: Step) -> str:
    return "copied out" if isinstance(step.op, Read) else "used"


def _reads_from(scene: Scene, reader: Step, writer: Step) -> bool:
    """Whether ``reader`` reads bytes that ``writer`` writes.

    A dispatch may also read every byte that it writes.
    """
    reads = isinstance(reader.op, AnyDispatch)
    return any(
        b.writes and a.overlaps(b)
        for a in scene.touches(reader)
        for b in scene.touches(writer)
        if reads or not a.writes
    )


def _rule_of(scene: Scene, one: Step, other: Step) -> Law:
    """The law that says that ``one`` comes before ``other``."""
    if isinstance(other.op, Write):
        if isinstance(one.op, Write):
            return laws.C1
        return laws.A2 if _reads_from(scene, one, other) else laws.A4
    if isinstance(other.op, Read):
        return laws.A1
    if isinstance(one.op, Write):
        return laws.A3
    return laws.A12 if isinstance(one.op, Alloc) else laws.C1


def omissions(scene: Scene) -> Iterator[Hypothesis]:
    """Single steps that had no effect, and runs of steps that were lost as one batch."""
    steps = scene.steps
    for at, step in enumerate(steps):
        if isinstance(step.op, Alloc | Read | Capture | Flush | Sync):
            continue
        is_free = isinstance(step.op, Free)
        yield Hypothesis(
            kind="omitted",
            culprit=step.number,
            detail=str(step.command),
            sentence=f"{quoted(step)} had no effect",
            why="so the bytes are those from before the op" if not is_free else "",
            rule=laws.E2 if is_free else laws.C1,
            steps=without(steps, at),
        )
    for start, end in _runs(steps):
        if end - start > 1:
            yield _lost(steps, start, end)


def _runs(steps: tuple[Step, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of steps that may have been lost together.

    A run is as many steps in a row as one batch could hold.  Yields each whole run, each of its
    beginnings and each of its ends.
    """
    start = None
    for at, step in enumerate((*steps, None)):
        in_batch = step is not None and not isinstance(step.op, Alloc | Free | Flush | Sync)
        if in_batch and start is None:
            start = at
        elif not in_batch and start is not None:
            for first in range(start, at):
                yield first, at
            for last in range(start + 1, at):
                yield start, last
            start = None


def _lost(steps: tuple[Step, ...], start: int, end: int) -> Hypothesis:
    kept = tuple(step for step in steps[start:end] if isinstance(step.op, Read | Capture))
    first, last = steps[start], steps[end - 1]
    return Hypothesis(
        kind="lost",
        culprit=first.number,
        other=last.number,
        detail=f"{first.command} {last.command}",
        sentence=f"{named(first)} to {named(last)} had no effect: their batch was lost",
        rule=laws.C1,
        steps=(*steps[:start], *kept, *steps[end:]),
    )


def poisoned(scene: Scene) -> Iterator[Hypothesis]:
    """A refused op destroyed its batch: the commands before it, those after it, or both."""
    steps = scene.steps
    for at, step in enumerate(steps):
        if not scene.is_refused(step):
            continue
        start, end = at, at + 1
        while start and not isinstance(steps[start - 1].op, _ENDS_BATCH):
            start -= 1
        while end < len(steps) and not isinstance(steps[end].op, _ENDS_BATCH):
            end += 1
        for low, high in ((start, end), (start, at), (at + 1, end)):
            others = (each for each in steps[low:high] if each is not step)
            lost = [each for each in others if isinstance(each.op, AnyDispatch | Copy | Read)]
            if not lost:
                continue
            yield Hypothesis(
                kind="poisoned",
                culprit=step.number,
                other=lost[0].number,
                detail=f"{low < at} {high > at + 1}",
                sentence=f"{quoted(step)}, which should only be refused, destroyed its batch",
                why=f"so {', '.join(map(named, lost))} had no effect",
                rule=laws.G1,
                steps=tuple(e for e in steps if e not in lost or isinstance(e.op, Read)),
                lends=tuple((e.op.result, "") for e in lost if isinstance(e.op, Read)),
            )


def repetitions(scene: Scene) -> Iterator[Hypothesis]:
    """Steps that took effect twice: the second time at once, or after a later step."""
    steps = scene.steps
    for at, step in enumerate(steps):
        if not isinstance(step.op, AnyDispatch | Copy | Write):
            continue
        for later in range(at, min(len(steps), at + _MOST_STEPS // 4)):
            if later > at and not scene.meets(step, steps[later]):
                continue
            after = "" if later == at else f", the second time after {named(steps[later])}"
            yield Hypothesis(
                kind="twice",
                culprit=step.number,
                other=steps[later].number if later > at else -1,
                detail=f"{step.command} {steps[later].command}",
                sentence=f"{quoted(step)} took effect twice{after}",
                rule=laws.C1,
                steps=(*steps[: later + 1], step, *steps[later + 1 :]),
            )
