"""Hypotheses that every op of a sort goes wrong in the same way: each read, or each host write."""

from collections.abc import Iterator

from gpusim.ops import Alloc, Flush, Free, Read, Sync, Write
from properties.explain.hypothesis import Hypothesis, moved, named, quoted
from properties.explain.scene import Scene, Step, Steps
from properties.oracles.laws import catalogue as laws

_NOT_OVERTAKEN = (Flush, Sync, Free, Alloc, Write)
"""Ops that no op overtakes, since they submit the waiting commands or act at once."""


def all_reads(scene: Scene) -> Iterator[Hypothesis]:
    """One read or every read gives zeros, or every read gives another read's bytes.

    Or every read, or every write, overtakes the commands that wait for a submit.
    """
    reads = [step for step in scene.steps if isinstance(step.op, Read)]
    for step in reads:
        yield _given(scene, [step], [""], "zeros", "was given zeros")
    if not reads:
        return
    names = [_result(step) for step in reads]
    yield _given(scene, reads, [""] * len(reads), "all zeros", "was given zeros, like every read")
    if len(reads) > 1:
        for detail, lent, whose in (
            ("before", [names[0], *names[:-1]], "read before it"),
            ("after", [*names[1:], names[-1]], "read after it"),
            ("first", names[:1] * len(names), "first read"),
            ("last", names[-1:] * len(names), "last read"),
        ):
            said = f"was given the bytes of the {whose}, like every read"
            yield _given(scene, reads, lent, detail, said)
    yield from _all_early(scene, Read)
    yield from _all_early(scene, Write)


def _result(step: Step) -> str:
    assert isinstance(step.op, Read)
    return step.op.result


def _given(scene: Scene, reads: list[Step], lent: list[str], detail: str, said: str) -> Hypothesis:
    return Hypothesis(
        kind="given",
        culprit=reads[0].number,
        detail=detail,
        sentence=f"{quoted(reads[0])} {said}",
        rule=laws.D1 if "" in lent else laws.D5,
        steps=scene.steps,
        lends=tuple(zip(map(_result, reads), lent, strict=True)),
    )


def _all_early(scene: Scene, kind: type[Read] | type[Write]) -> Iterator[Hypothesis]:
    """Each op of the kind overtakes the commands that wait for a submit when it is called."""
    steps: Steps = ()
    crossed: list[tuple[Step, Step]] = []
    start = 0
    for step in scene.steps:
        steps = (*steps, step)
        if isinstance(step.op, kind):
            crossed += [(each, step) for each in steps[start:-1] if scene.meets(each, step)]
            steps = moved(steps, len(steps) - 1, start)
            start += 1
        elif isinstance(step.op, _NOT_OVERTAKEN):
            start = len(steps)
    if not crossed:
        return
    overtaken, first = crossed[0]
    used = f"so {named(overtaken)} used what {named(first)} wrote"
    yield Hypothesis(
        kind="early",
        culprit=overtaken.number,
        other=first.number,
        detail=kind.verb,
        sentence=f"{quoted(first)} overtook {quoted(overtaken)}, like every {kind.verb}",
        why=f"so {named(first)} got older bytes" if kind is Read else used,
        rule=laws.A1 if kind is Read else laws.A2,
        steps=steps,
    )
