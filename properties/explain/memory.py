"""Hypotheses about memory: a read that gave other bytes, and a buffer in another buffer's memory.

These are mistakes of reuse: two reads share a staging buffer, or memory that is used again still
has its old bytes.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.ops import Alloc, AnyDispatch, Copy, Free, Op, Read, Write
from gpusim.program import buffers_of, renamed
from properties.explain import rules
from properties.explain.hypothesis import ALIGNMENTS, Hypothesis, named, quoted, with_ops, without
from properties.explain.scene import Scene, Step, Steps, by_nobody
from properties.oracles.laws import catalogue as laws


def reads(scene: Scene) -> Iterator[Hypothesis]:
    """Reads of other bytes, or with the bytes of another read."""
    results = [step for step in scene.steps if isinstance(step.op, Read)]
    for at, step in enumerate(scene.steps):
        op = step.op
        if not isinstance(op, Read) or op.buffer not in scene.states[at]:
            continue
        for other in results:
            assert isinstance(other.op, Read)
            if other is not step:
                yield from _lent(scene, step, other)
        for instead, said in _other_reads(op, scene, at):
            yield with_ops(scene, at, (instead,), "read", laws.A11, said)


def _lent(scene: Scene, step: Step, other: Step) -> Iterator[Hypothesis]:
    assert isinstance(step.op, Read)
    assert isinstance(other.op, Read)
    for whole in (False, True):
        if whole and other.op.size_bytes == step.op.size_bytes:
            continue
        yield Hypothesis(
            kind="lent", culprit=step.number, other=other.number,
            detail="whole" if whole else "",
            sentence=f"{quoted(step)} was given the bytes of {quoted(other)}",
            why="as if both used one staging buffer", rule=laws.D5, steps=scene.steps,
            lends=((step.op.result, other.op.result),), lends_whole=whole,
        )  # fmt: skip


def _other_reads(op: Read, scene: Scene, at: int) -> Iterator[tuple[Read, str]]:
    size = len(scene.states[at][op.buffer])
    for align in ALIGNMENTS:
        low = op.offset // align * align
        if low < op.offset:
            said = f"copied its bytes from an offset rounded down to a multiple of {align}"
            yield replace(op, offset=low), said
    for shift in (1, 2, 3, 4, -1, -2, -3, -4):
        start = op.offset + shift
        if 0 <= start <= size - op.size_bytes:
            yield (
                replace(op, offset=start),
                f"copied its bytes from an offset that is wrong by {shift:+}",
            )
    if op.offset:
        yield replace(op, offset=0), "copied its bytes from the start of the buffer"
    for name in scene.states[at]:
        if name != op.buffer:
            yield replace(op, buffer=name), f"copied the bytes of {name}, and not of {op.buffer}"


def buffers(scene: Scene) -> Iterator[Hypothesis]:
    """A new buffer in another's memory, or cleared too late; an op that reaches a freed buffer."""
    steps = scene.steps
    for at, step in enumerate(steps):
        op = step.op
        if not isinstance(op, Alloc) or scene.is_refused(step):
            continue
        for made, other in enumerate(steps[:at]):
            if isinstance(other.op, Alloc) and not scene.is_refused(other):
                yield from _reused(scene, at, made)
        yield from _cleared_late(scene, at, op)
    for position, op in enumerate(scene.program):
        if scene.expected.outcomes[position].error == "InvalidHandle":
            yield from _revived(scene, position, op)


def _cleared_late(scene: Scene, at: int, op: Alloc) -> Iterator[Hypothesis]:
    """The buffer of the alloc ``op`` is cleared too late: after a later step has used it."""
    steps = scene.steps
    for later in range(at + 1, len(steps)):
        if not scene.meets(steps[at], steps[later]) or isinstance(steps[later].op, Read | Free):
            continue
        clear = by_nobody(Write(buffer=op.buffer, offset=0, data=bytes(op.size_bytes)))
        yield Hypothesis(
            kind="cleared", culprit=steps[at].number, other=steps[later].number,
            sentence=f"{quoted(steps[later])} overtook the clearing of {op.buffer} by "
            f"{quoted(steps[at])}",
            why=f"so what {named(steps[later])} wrote was cleared", rule=laws.A12,
            steps=(*steps[: later + 1], clear, *steps[later + 1 :]),
        )  # fmt: skip


def _reused(scene: Scene, at: int, made: int) -> Iterator[Hypothesis]:
    """The alloc at ``at`` gets the memory of the buffer that the earlier step ``made`` made."""
    steps = scene.steps
    new, old = steps[at].op, steps[made].op
    assert isinstance(new, Alloc)
    assert isinstance(old, Alloc)
    freed = _freed_at(steps, old.buffer)
    if freed is not None and freed < at:
        left = scene.states[freed].get(old.buffer, b"")[: new.size_bytes]
        put = by_nobody(Write(buffer=new.buffer, offset=0, data=left))
        said = f"began with the bytes of {old.buffer}, which {named(steps[freed])} freed"
        yield from _before_its_batch(scene, at, made, freed)
        yield Hypothesis(
            kind="dirty", culprit=steps[at].number, other=steps[freed].number,
            sentence=f"{quoted(steps[at])} {said}", rule=laws.A12,
            steps=(*steps[: at + 1], put, *steps[at + 1 :]),
        )  # fmt: skip
        # It is right to use the memory of a freed buffer again, so no sharing is tried.
        return
    if new.size_bytes > old.size_bytes:
        return
    shared = {new.buffer: old.buffer}
    kept = tuple(
        step._replace(op=renamed(step.op, shared)) for step in steps[at + 1 :]
        if step.op not in (Free(buffer=old.buffer), Free(buffer=new.buffer))
    )  # fmt: skip
    before = tuple(step for step in steps[:at] if step.op != Free(buffer=old.buffer))
    clear = by_nobody(Write(buffer=old.buffer, offset=0, data=bytes(new.size_bytes)))
    for cleared in (True, False):
        yield Hypothesis(
            kind="shared", culprit=steps[at].number, other=steps[made].number,
            detail=str(cleared),
            sentence=f"{quoted(steps[at])} was given the memory that {named(steps[made])} made",
            why="so what is written to one shows in the other", rule=laws.E1,
            steps=(*before, *([clear] if cleared else []), *kept),
        )  # fmt: skip


def _before_its_batch(scene: Scene, at: int, made: int, freed: int) -> Iterator[Hypothesis]:
    """Memory is cleared for a new buffer before the commands on the freed one are submitted.

    So these commands write into the new buffer, or a read copies zeros.
    """
    steps = scene.steps
    new, old = steps[at].op, steps[made].op
    assert isinstance(new, Alloc)
    assert isinstance(old, Alloc)
    said = (
        f"{quoted(steps[at])} was given the memory of {old.buffer}, which {named(steps[freed])} "
        "freed, and its clearing overtook"
    )
    late = [
        step
        for step in steps[made + 1 : freed]
        if isinstance(step.op, AnyDispatch | Copy) and scene.meets(steps[made], step)
    ]
    for start, first in enumerate(late):
        moved = [
            each._replace(op=renamed(each.op, {old.buffer: new.buffer})) for each in late[start:]
        ]
        yield Hypothesis(
            kind="recycled", culprit=first.number, other=steps[at].number,
            sentence=f"{said} {quoted(first)}",
            why=f"so what {named(first)} wrote shows in {new.buffer}", rule=laws.A12,
            steps=(*steps[: at + 1], *moved, *steps[at + 1 :]),
        )  # fmt: skip
    cleared = bytes(min(new.size_bytes, old.size_bytes))
    clear = by_nobody(Write(buffer=old.buffer, offset=0, data=cleared))
    for start, read in enumerate(steps[:freed]):
        if start > made and isinstance(read.op, Read) and read.op.buffer == old.buffer:
            yield Hypothesis(
                kind="recycled", culprit=read.number, other=steps[at].number, detail="read",
                sentence=f"{said} {quoted(read)}",
                why=f"so {named(read)} copied zeros", rule=laws.A12,
                steps=(*steps[:start], clear, *steps[start:]),
            )  # fmt: skip


def _freed_at(steps: Steps, buffer: str) -> int | None:
    """The place of the step that frees ``buffer``, if any."""
    return next((n for n, step in enumerate(steps) if step.op == Free(buffer=buffer)), None)


def _revived(scene: Scene, position: int, op: Op) -> Iterator[Hypothesis]:
    """The op ``op`` is accepted on a freed buffer: it reaches the old memory, or another buffer."""
    at = next((n for n, step in enumerate(scene.steps) if step.position == position), None)
    if at is None:
        return
    live = scene.states[at]
    for name in dict.fromkeys(buffers_of(op)):
        if name in live:
            continue
        for other in live:
            said = f"was accepted: its freed handle {name} reached {other}"
            yield with_ops(scene, at, (renamed(op, {name: other}),), "stale", rules.HANDLE, said)
        freed = _freed_at(scene.steps[:at], name)
        if freed is not None:
            step = scene.steps[freed]
            yield Hypothesis(
                kind="kept", culprit=scene.number(position), other=step.number,
                sentence=f"op {scene.number(position)} used {name}, which {quoted(step)} freed",
                rule=laws.E2, steps=without(scene.steps, freed),
            )  # fmt: skip
