"""Tries whether a replay or a dispatch uses buffers or scalars of an earlier one.

A graph of one copy shows by its bytes which buffers each replay of it used, and a graph of three
dispatches shows which scalars each of them got.
"""

from dataclasses import replace

from gpusim.ops import Alloc, Free, Replay
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.failure import FailureKind
from properties.oracles.laws.catalogue import B1, E3, E5
from properties.oracles.metamorphic.rewrites import sizes_of

_ENTRIES = (
    "alloc x 4\nalloc y 4\nalloc z 4\ncapture g dispatch affine x 1,7 1x1x{0}; dispatch affine y "
    "1,7 1x1x{1}; dispatch affine z 1,7 1x1x{2}\nreplay g 1,1;1,2;1,3 -\nread x 0 4 -> rx\n"
    "read y 0 4 -> ry\nread z 0 4 -> rz\n"
)
_BEFORE = (3, 1, 2)
"""For each dispatch the scalar of the one before it; for the first dispatch, of the last."""
_GROUPS = {
    "if the second has no groups": (1, 0, 1),
    "if the first has none": (0, 1, 1),
    "if the last has none": (1, 1, 0),
    "if all have groups": (1, 1, 1),
}
_TWICE = (
    "alloc x 4\nalloc y 4\nalloc w 4\nalloc z 4\nwrite x 0 01000000\nwrite y 0 02000000\n"
    "write w 0 03000000\ncapture g copy x 0 z 0 4\n{replays}read z 0 4 -> rz\n"
)
_ORDERS = (("-", "x=y", "x=w"), ("-", "x=y"), ("x=y", "-"), ("x=y", "x=w"))
_LAST = {2: "second", 3: "third"}
_SOURCES = {1: "x", 2: "y", 3: "w"}


@by_trial(without_faults=True)
def tell_entries(evidence: Evidence, trials: Trials) -> Told:
    """Which scalars each of three dispatches of a replay gets, also if one has no groups."""
    is_fed = evidence.argument.rule is B1 and any(isinstance(op, Replay) for op in evidence.program)
    is_best = evidence.best is not None and evidence.best.rule is rules.ENTRIES
    if not (is_fed or is_best) or not evidence.fits.replays:
        return NOTHING
    said, is_wrong = [], False
    for when, groups in _GROUPS.items():
        judged = trials.run(_ENTRIES.format(*groups))
        got = [outcome.data or b"" for outcome in judged.execution.history.outcomes[5:8]]
        numbers = [int.from_bytes(data, "little") for data in got]
        how = " (right)"
        if judged.failure is not None:
            shifted = all(n in (0, own) for n, own in zip(numbers, _BEFORE, strict=True))
            how = " (each that of the one before)" if shifted else ""
            is_wrong = True
        said.append(f"{', '.join(str(each or 'none') for each in numbers)} {when}{how}")
    if not is_wrong:
        return NOTHING
    return told(f"tried three dispatches replayed with 1, 2 and 3: they get {'; '.join(said)}")


@by_trial(FailureKind.VALUE, FailureKind.LAW, without_faults=True)
def tell_repeated(evidence: Evidence, trials: Trials) -> Told:
    """Replays a graph of one copy two or three times; tells when the last replay goes wrong."""
    failure = evidence.failure
    replays = [op for op in evidence.program if isinstance(op, Replay)]
    is_bound = any(op.bindings for op in replays)
    is_repeated = len(replays) > len({op.graph for op in replays})
    is_shown = failure.kind is FailureKind.VALUE or failure.trait == E5.name
    if not (is_shown and is_bound and is_repeated):
        return NOTHING
    wrong = []
    for bindings in _ORDERS:
        judged = trials.run(_TWICE.format(replays="".join(f"replay g * {b}\n" for b in bindings)))
        got = judged.execution.history.outcomes[-1].data
        if judged.failure is not None and got is not None:
            source = _SOURCES.get(int.from_bytes(got, "little"), "neither")
            order = ", then ".join("plainly" if b == "-" else f"with {b}" for b in bindings)
            wrong.append(f"{order}: the {_LAST[len(bindings)]} copies {source}")
    return told(f"tried: a graph that copies x is replayed {'; '.join(wrong)}" if wrong else "")


@by_trial()
def tell_taken_over(evidence: Evidence, trials: Trials) -> Told:
    """Tells if the case passes once the buffer that should be bound is made before the free."""
    program, best = evidence.program, evidence.best
    if best is None or best.rule is not E3 or best.kind != "buffers":
        return NOTHING
    own, before = buffers_of(program[best.culprit]), buffers_of(program[best.other])
    free, at = None, -1
    alloc, late = None, -1
    for n, op in enumerate(program.ops[: best.culprit]):
        if isinstance(op, Free) and op.buffer in before:
            free, at = op, n
        elif isinstance(op, Alloc) and op.buffer in own:
            alloc, late = op, n
    if free is None or alloc is None or late < at:
        return NOTHING
    rest = [op for op in program if op is not alloc]
    rest.insert(at, alloc)
    if trials.fails(Program(tuple(rest))):
        return NOTHING
    fact = (
        f"with op {late} ({write_op(alloc)}) before op {at} ({write_op(free)}) it passes; "
        f"likeliest {alloc.buffer} took over {free.buffer}'s handle and bind group"
    )
    size = sizes_of(program)[free.buffer] + alloc.size_bytes
    if trials.fails(instead(program, late, replace(alloc, size_bytes=size))):
        fact += f"; with {alloc.buffer} of {size} bytes it fails as well"
    return told(fact)
