"""Tries from where a dispatch takes its grid, and which forms and sizes of a grid go wrong.

A grid that is another op's changes with the grids of the others.  For an indirect dispatch, a grid
of one workgroup is written into a buffer of zeros, at each place in turn.  The dispatch has an
effect only if it reads its grid from that place, since a grid anywhere else has a zero in it.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt, prod

from gpusim.limits import WORD_BYTES
from gpusim.ops import AnyDispatch, Capture, Command, Dispatch, DispatchIndirect, Op
from gpusim.program import Program
from gpusim.text import write_op
from properties.clients.arrays import grid_of
from properties.explain import rules
from properties.explain.clocks import Traced, read_clocks
from properties.explain.experiments import Judge, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import LawContext
from properties.oracles.laws.expected import ExpectedDispatch
from properties.oracles.metamorphic.rewrites import sizes_of

_MUTATING = "mutating"
_KINDS = (FailureKind.VALUE, FailureKind.ERROR)
_FORMS = {
    "5": (5, 1, 1),
    "(5,)": (5, 1, 1),
    "[5]": (5, 1, 1),
    "(2, 3)": (2, 3, 1),
    "[2, 3]": (2, 3, 1),
    "(2, 3, 2)": (2, 3, 2),
    "[2, 3, 2]": (2, 3, 2),
}
"""Grids, by the form in which the client is to pass them."""
_MOST_DRAWN = 1000
"""Dispatches among which one with each form is sure to be: the client has some 15 forms."""
_GRID_BYTES = 3 * WORD_BYTES
_ONE_GROUP = "01000000" * 3
_MOST_GROUPS = 1 << 16
"""The sum of the numbers of more groups would not fit into a word."""
_MOST_BYTES = 256
"""In a longer buffer the grid is looked for only in this many bytes at the start."""


def tell_grid(verdict: Verdict, failure: Failure, at: int, again: Judge | None) -> Told:
    """Tells from which byte the dispatch at ``at`` reads its grid, if not from its offset."""
    program = verdict.execution.case.program
    op = program[at] if at >= 0 else None
    if failure.kind is not FailureKind.VALUE or again is None:
        return NOTHING
    if not isinstance(op, DispatchIndirect) or op.offset % WORD_BYTES or op.offset < 0:
        return NOTHING
    size = sizes_of(program).get(op.counts, 0)
    if _runs(verdict, op.offset, op.offset, size, again):
        return NOTHING
    places = range(0, min(size, _MOST_BYTES) - _GRID_BYTES + 1, WORD_BYTES)
    found = next((place for place in places if _runs(verdict, op.offset, place, size, again)), None)
    if found is None:
        return NOTHING
    times = f", {found // op.offset} times its offset" if _is_multiple(found, op.offset) else ""
    return Told(
        sentence=f"op {at} ({write_op(op)}) reads its grid at byte {found} of {op.counts}{times}, "
        f"and not at byte {op.offset}",
        culprit=at,
        rule=rules.INDIRECT,
        facts=(
            f"tried alone: a grid of one group at byte {found} makes such a dispatch run, and the "
            f"same grid at byte {op.offset} does not",
        ),
    )


def _is_multiple(found: int, offset: int) -> bool:
    return offset > 0 and found > offset and found % offset == 0


def _runs(verdict: Verdict, offset: int, place: int, size: int, again: Judge) -> bool:
    """Whether an indirect dispatch has an effect if the only grid is at ``place``."""
    program = Program.parse(
        f"alloc x 4\nalloc y {size}\nwrite y {place} {_ONE_GROUP}\n"
        f"dispatch_indirect affine x 1,1 y {offset}\nread x 0 4 -> rx\n"
    )
    tried = again(replace(verdict.execution.case, program=program, transformations=()))
    data = tried.execution.history.outcomes[-1].data
    return data is not None and any(data)


def tell_whose_grid(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """Whether a dispatch over a wrong grid has that of another op, and what the cache then did."""
    case, accused = verdict.execution.case, traced.accused
    if again is None or accused is None or not isinstance(accused.expected, ExpectedDispatch):
        return NOTHING
    at, groups = accused.expected.position, accused.command.about["groups"]
    if groups == accused.expected.grid or not isinstance(case.program[at], Dispatch):
        return NOTHING
    program = Program(tuple(_longer(op, is_own=n == at) for n, op in enumerate(case.program)))
    execution = again(replace(case, program=program, transformations=())).execution
    if program == case.program or not execution.is_lawful:
        return NOTHING
    tried = read_clocks(execution.trace, LawContext.of(execution)).accused
    if tried is None or tried.expected.position != at:
        return NOTHING
    given = tried.command.about["groups"]
    others = {op.grid for op in _commands(program) if isinstance(op, Dispatch)}
    evicted = [*_evicted(verdict)]
    cached = f"op {at} is the first in which the cache of launch shapes evicted an entry"
    return Told(
        facts=(
            f"tried with two groups more in x in the grid of each other op: op {at} is dispatched "
            f"over {'x'.join(map(str, given))} groups"
            f"{'' if given in others else ' all the same, which no op asks for'}",
            *((cached,) if evicted[:1] == [at] else ()),
        )
    )


def _commands(program: Program) -> Iterator[Op]:
    for op in program:
        yield from op.commands if isinstance(op, Capture) else [op]


def _longer(op: Op, *, is_own: bool) -> Op:
    """The op with two groups more in x in each grid, unless it is the dispatch in question."""
    if isinstance(op, Capture):
        longer = [_longer(each, is_own=False) for each in op.commands]
        return replace(op, commands=tuple(each for each in longer if isinstance(each, Command)))
    if is_own or not isinstance(op, Dispatch) or not 0 < op.grid[0] < _MOST_DRAWN:
        return op
    x, y, z = op.grid
    return replace(op, grid=(x + 2, y, z))


def _evicted(verdict: Verdict) -> Iterator[int]:
    """The ops in which the cache of launch shapes evicted an entry."""
    at = -1
    for event in verdict.execution.trace:
        if event.kind == "op":
            at = event["position"]
        elif event.kind == "shapes.evicted":
            yield at


def tell_forms(verdict: Verdict, failure: Failure, at: int, again: Judge | None) -> Told:
    """The forms in which a direct dispatch may be given its grid, and those that go wrong."""
    case = verdict.execution.case
    op = case.program[at] if 0 <= at < len(case.program) else None
    is_about = case.client == _MUTATING or any("grid" in got for _, got in failure.sides)
    if again is None or failure.kind not in _KINDS or case.follows_no_policy:
        return NOTHING
    if not isinstance(op, AnyDispatch) or not is_about or len(case.device.faults):
        return NOTHING
    plain = replace(case, client=_MUTATING, transformations=())
    tried = {
        form: again(replace(plain, program=_given(form, grid))) for form, grid in _FORMS.items()
    }
    wrong = [form for form, judged in tried.items() if judged.failure is not None]
    right = [form for form in tried if form not in wrong]
    if not wrong or not right:
        return NOTHING
    ran = " or ".join(dict.fromkeys(filter(None, (_over(form, tried[form]) for form in wrong))))
    fact = (
        f"tried direct dispatches by the form in which the caller gives the grid: wrong "
        f"{'is' if len(wrong) == 1 else 'are'} {' and '.join(wrong)}{ran and f', {ran}'}; right "
        f"are {', '.join(right)}"
    )
    pair = "the grid of an indirect dispatch is passed as a pair as well, (buffer, offset)"
    return Told(facts=(fact, pair) if isinstance(op, DispatchIndirect) else (fact,))


def _over(form: str, judged: Verdict) -> str:
    """Over which groups the dispatch ran whose grid was given as ``form``; "" if that is right."""
    for event in judged.execution.trace:
        if event.kind == "dispatch" and event["groups"] != _FORMS[form]:
            ran, meant = ("x".join(map(str, each)) for each in (event["groups"], _FORMS[form]))
            return f"run over {ran} groups, and not over {meant}"
    return ""


def _given(form: str, grid: tuple[int, int, int]) -> Program:
    """A program with one dispatch, to which the client gives its grid in that form."""
    forms = (
        Dispatch(kernel="tally", buffers=("x",), scalars=(each,), grid=grid)
        for each in range(1, _MOST_DRAWN)
    )
    op = next(each for each in forms if repr(grid_of(each)) == form)
    return Program.parse(f"alloc x 64\n{write_op(op)}\nread x 0 64 -> rx\n")


def tell_groups(
    verdict: Verdict, failure: Failure, kind: str, at: int, again: Judge | None
) -> Told:
    """How many groups dispatches run over grids around the smallest that goes wrong.

    ``kind``: the kind of the mistake that explains the bytes.
    """
    case = verdict.execution.case
    op = case.program[at] if 0 <= at < len(case.program) else None
    if again is None or kind != "grid" or failure.kind is not FailureKind.VALUE:
        return NOTHING
    if not isinstance(op, Dispatch) or len(case.device.faults):
        return NOTHING
    low, high = 1, prod(op.grid)
    if (
        high > _MOST_GROUPS
        or _ran(verdict, (low, 1, 1), again) != low
        or _ran(verdict, (high, 1, 1), again) == high
    ):
        return NOTHING
    while high - low > 1:
        middle = (low + high) // 2
        is_right = _ran(verdict, (middle, 1, 1), again) == middle
        low, high = (middle, high) if is_right else (low, middle)
    grids = [(n, 1, 1) for n in (low, high, high + 1, 2 * high)] + [(1, high, 1), (1, 1, high)]
    told = [f"{'x'.join(map(str, grid))} runs {_ran(verdict, grid, again)}" for grid in grids]
    return Told(facts=(f"tried dispatches alone, by the groups that run: {', '.join(told)}",))


def _ran(verdict: Verdict, grid: tuple[int, int, int], again: Judge) -> int:
    """How many groups a dispatch over ``grid`` runs; -1 if that is unclear.

    The kernel adds up the numbers of its groups, from 1.
    """
    size = "x".join(map(str, grid))
    judged = instead_of(verdict, f"alloc x 4\ndispatch tally x 1 {size}\nread x 0 4 -> r\n", again)
    total = int.from_bytes(judged.execution.history.outcomes[-1].data or b"", "little")
    count = (isqrt(8 * total + 1) - 1) // 2
    return count if count * (count + 1) // 2 == total else -1
