"""Tries whether a replay or a dispatch uses buffers of an earlier one in the place of its own.

A command can use a buffer as an operand of a kernel, as the grid of an indirect dispatch, and as
the source or the target of a copy.  Each use is tried in a program of its own: once with the
captured buffer live, and once with it freed.  A replay over other buffers must pass in both.
"""

from dataclasses import replace

from gpusim.ops import Alloc, Free, Replay
from gpusim.program import Program, buffers_of
from gpusim.text import write_op
from properties.explain import rules
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.hypothesis import Hypothesis
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import E3, E5
from properties.oracles.metamorphic.rewrites import sizes_of

_MADE = "alloc x 16\nalloc y 16\nalloc z 16\nwrite x 0 {ones}\nwrite y 0 {twos}\n"
_REPLAYED = "capture g {command}\n{free}replay g * x=y\nread z 0 16 -> rz\nread y 0 16 -> ry\n"
_USES = {
    "an operand of a kernel": "dispatch affine x 1,1 1x1x1",
    "the grid of an indirect dispatch": "dispatch_indirect affine z 1,1 x 0",
    "the source of a copy": "copy x 0 z 0 8",
    "the target of a copy": "copy z 0 x 0 8",
}
_FILLED = {"ones": "01000000" * 4, "twos": "02000000" * 4}


def tell_uses(verdict: Verdict, at: int, again: Judge) -> Told:
    """Tells in which uses a replay over other buffers, like op ``at``, keeps a captured one."""
    op = verdict.execution.case.program[at]
    is_fit = isinstance(op, Replay) and op.bindings and verdict.execution.capabilities.indirect
    if not is_fit:
        return NOTHING
    live = [use for use, command in _USES.items() if _fails(verdict, command, "", again)]
    if len(live) == len(_USES):
        return NOTHING
    freed = [use for use, command in _USES.items() if _fails(verdict, command, "free x\n", again)]
    if live:
        said = f"still uses the captured buffer as {' and as '.join(live)}"
    elif freed:
        said = f"fails once the captured buffer is freed, if that was {' or '.join(freed)}"
    else:
        return NOTHING
    facts = [_told("while the buffer is live", live), _told("once the buffer is freed", freed)]
    return Told(
        sentence=f"op {at} ({write_op(op)}): a replay over other buffers {said}",
        culprit=at,
        rule=rules.BINDINGS,
        facts=tuple(facts),
    )


def _fails(verdict: Verdict, command: str, free: str, again: Judge) -> bool:
    """Whether a replay of ``command`` over another buffer fails."""
    text = _MADE.format(**_FILLED) + _REPLAYED.format(command=command, free=free)
    return fails(verdict, text, again)


def _told(when: str, uses: list[str]) -> str:
    """Says which uses go wrong ``when``, each tried in a program of its own."""
    wrong = ", ".join(f"as {use}" for use in uses)
    return f"each use of a captured buffer tried alone: {when}, wrong are {wrong or 'none'}"


_ENTRIES = (
    "alloc x 4\nalloc y 4\nalloc z 4\ncapture g dispatch affine x 1,7 1x1x{0}; dispatch affine y "
    "1,7 1x1x{1}; dispatch affine z 1,7 1x1x{2}\nreplay g 1,1;1,2;1,3 -\nread x 0 4 -> rx\n"
    "read y 0 4 -> ry\nread z 0 4 -> rz\n"
)
_BEFORE = (3, 1, 2)
"""The scalars of the dispatch before each; for the first, those of the last."""
_GROUPS = {
    "if the second has no groups": (1, 0, 1),
    "if the first has none": (0, 1, 1),
    "if the last has none": (1, 1, 0),
    "else": (1, 1, 1),
}


def tell_entries(verdict: Verdict, again: Judge) -> Told:
    """Which scalars each of three dispatches of a replay gets, also if one has no groups."""
    if len(verdict.execution.case.device.faults) or not verdict.execution.capabilities.replays:
        return NOTHING
    told = []
    for when, groups in _GROUPS.items():
        judged = instead_of(verdict, _ENTRIES.format(*groups), again)
        got = [outcome.data for outcome in judged.execution.history.outcomes[5:8]]
        numbers = [int.from_bytes(data, "little") if data is not None else 0 for data in got]
        words = [str(number) if number else "none" for number in numbers]
        how = " (right)" if judged.failure is None else ""
        if how == "" and all(n in (0, own) for n, own in zip(numbers, _BEFORE, strict=True)):
            how = " (each those of the one before)"
        told.append(f"{when} {', '.join(words)}{how}")
    if all("right" in each for each in told):
        return NOTHING
    return Told(
        facts=(f"tried three dispatches replayed with 1, 2 and 3: they get, {'; '.join(told)}",)
    )


_TWICE = (
    "alloc x 4\nalloc y 4\nalloc w 4\nalloc z 4\nwrite x 0 01000000\nwrite y 0 02000000\n"
    "write w 0 03000000\ncapture g copy x 0 z 0 4\n{replays}read z 0 4 -> rz\n"
)
_ORDERS = (("-", "x=y", "x=w"), ("-", "x=y"), ("x=y", "-"), ("x=y", "x=w"))
_LAST = {2: "second", 3: "third"}
_SOURCES = {1: "x", 2: "y", 3: "w"}


def tell_repeated(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Whether a later replay uses the buffers of an earlier, tried with a graph of one copy."""
    case, program = verdict.execution.case, verdict.execution.case.program
    graphs = [op.graph for op in program if isinstance(op, Replay)]
    is_bound = any(isinstance(op, Replay) and op.bindings for op in program)
    is_law = failure.kind is FailureKind.LAW and failure.trait == E5.name
    is_shown = is_law or failure.kind is FailureKind.VALUE
    is_fit = is_shown and is_bound and len(graphs) > len({*graphs})
    if again is None or not is_fit or len(case.device.faults):
        return NOTHING
    wrong = []
    for bindings in _ORDERS:
        replays = "".join(f"replay g * {each}\n" for each in bindings)
        text = _TWICE.format(replays=replays)
        judged = instead_of(verdict, text, again)
        got = next((o.data for o in judged.execution.history.outcomes[::-1] if o.data), None)
        if judged.failure is not None and got is not None:
            source = _SOURCES.get(int.from_bytes(got, "little"), "neither")
            order = ", then ".join(map(_with, bindings))
            wrong.append(f"{order}: the {_LAST[len(bindings)]} copies {source}")
    if not wrong:
        return NOTHING
    return Told(facts=(f"tried: a graph that copies x is replayed {'; '.join(wrong)}",))


def _with(bindings: str) -> str:
    return "plainly" if bindings == "-" else f"with {bindings}"


def tell_taken_over(verdict: Verdict, best: Hypothesis | None, again: Judge | None) -> Told:
    """Whether a dispatch that bound a freed buffer needs a buffer that was made after the free."""
    program = verdict.execution.case.program
    if again is None or best is None or best.rule is not E3 or best.kind != "buffers":
        return NOTHING
    own, before = program[best.culprit], program[best.other]
    ops = list(enumerate(program.ops[: best.culprit]))
    frees = [n for n, op in ops if isinstance(op, Free) and op.buffer in buffers_of(before)]
    allocs = [n for n, op in ops if isinstance(op, Alloc) and op.buffer in buffers_of(own)]
    if not frees or not allocs or allocs[-1] < frees[-1]:
        return NOTHING
    at, late = frees[-1], allocs[-1]
    free, alloc = program[at], program[late]
    assert isinstance(free, Free)
    assert isinstance(alloc, Alloc)
    rest = [op for op in program.ops if op is not alloc]
    rest.insert(at, alloc)
    if not _passes(verdict, Program(tuple(rest)), again):
        return NOTHING
    fact = (
        f"with op {late} ({write_op(alloc)}) before op {at} ({write_op(free)}) it passes; "
        f"likeliest {alloc.buffer} took over {free.buffer}'s handle, for which a group was kept"
    )
    size = sizes_of(program)[free.buffer] + alloc.size_bytes
    if not _passes(verdict, instead(program, late, replace(alloc, size_bytes=size)), again):
        fact += f"; with {alloc.buffer} of {size} bytes it fails as well"
    return Told(facts=(fact,))


def _passes(verdict: Verdict, program: Program, again: Judge) -> bool:
    case = replace(verdict.execution.case, program=program, transformations=())
    return again(case).failure is None
