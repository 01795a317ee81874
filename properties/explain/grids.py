"""Tries from where a dispatch takes its grid, and which forms and sizes of a grid go wrong.

If a dispatch wrongly runs over the grid of another op, the groups change as soon as that op has
another grid.  For an indirect dispatch, a grid of one workgroup is written into a buffer of zeros,
at each place in turn.  The dispatch has an effect only if it reads its grid from that place, since
a grid anywhere else has a zero in it.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt, prod

from gpusim.limits import WORD_BYTES
from gpusim.ops import AnyDispatch, Capture, Command, Dispatch, DispatchIndirect, Op
from gpusim.program import Program
from gpusim.runtime.batch import FlushReason
from gpusim.text import write_op
from properties.clients.arrays import grid_of
from properties.explain import rules
from properties.explain.calls import calls_of
from properties.explain.clocks import read_clocks
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial, edge
from properties.model.failure import FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import ExpectedDispatch
from properties.oracles.metamorphic.rewrites import sizes_of

_MUTATING = "mutating"
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
"""Among so many dispatches each form is sure to occur: the client has some 15 forms."""
_GRID_BYTES = 3 * WORD_BYTES
_ONE_GROUP = "01000000" * 3
_MOST_GROUPS = 1 << 16
"""The most groups that are tried."""
_MOST_BYTES = 256
"""In a longer buffer the grid is looked for only in this many bytes at the start."""
_GRID, _LARGER = "grid", (2, 3, 2)
_FULL = FlushReason.UNIFORMS.value
Grid = tuple[int, int, int]


def _shown(grid: Grid) -> str:
    return "x".join(map(str, grid))


@by_trial(FailureKind.VALUE)
def tell_grid(evidence: Evidence, trials: Trials) -> Told:
    """Tells from which byte an indirect dispatch reads its grid, if not from its offset."""
    op, at = evidence.culprit, evidence.argument.culprit
    if not isinstance(op, DispatchIndirect) or op.offset % WORD_BYTES or op.offset < 0:
        return NOTHING
    size = sizes_of(evidence.program).get(op.counts, 0)

    def runs(place: int) -> bool:
        """Whether the dispatch has an effect if the only grid is at ``place``."""
        text = f"alloc x 4\nalloc y {size}\nwrite y {place} {_ONE_GROUP}\n"
        text += f"dispatch_indirect affine x 1,1 y {op.offset}\nread x 0 4 -> rx\n"
        return any(trials.last_data(text))

    places = range(0, min(size, _MOST_BYTES) - _GRID_BYTES + 1, WORD_BYTES)
    found = None if runs(op.offset) else next(filter(runs, places), None)
    if found is None:
        return NOTHING
    is_multiple = 0 < op.offset < found and found % op.offset == 0
    times = f", {found // op.offset} times its offset" if is_multiple else ""
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


def _groups_of(judged: Verdict, at: int) -> Grid | None:
    """The groups over which the op at ``at`` ran.

    None if the first command that no op asked for does not stand for that op.
    """
    accused = read_clocks(judged.execution).accused
    if accused is None or accused.expected.position != at:
        return None
    groups: Grid = accused.command.about.get("groups", ())
    return groups


@by_trial()
def tell_whose_grid(evidence: Evidence, trials: Trials) -> Told:
    """Tells whether a dispatch over a wrong grid took the grid of another op.

    Also tells if that dispatch is the first op in which the cache of launch shapes evicted an
    entry.
    """
    accused, program = evidence.traced.accused, evidence.program
    if accused is None or not isinstance(accused.expected, ExpectedDispatch):
        return NOTHING
    at, groups = accused.expected.position, accused.command.about["groups"]
    if groups == accused.expected.grid or not isinstance(program[at], Dispatch):
        return NOTHING
    longer = Program(tuple(_longer(op, is_own=n == at) for n, op in enumerate(program)))
    given = None if longer == program else _groups_of(trials.run(longer), at)
    if given is None:
        return NOTHING
    others = {op.grid for op in _commands(longer) if isinstance(op, Dispatch)}
    cached = f"op {at} is the first in which the cache of launch shapes evicted an entry"
    return told(
        f"tried with two groups more in x in the grid of each other op: op {at} is dispatched over "
        f"{_shown(given)} groups{'' if given in others else ', for which no op asks'}",
        cached if evidence.evicting("shapes")[:1] == [at] else "",
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


@by_trial(FailureKind.VALUE, FailureKind.ERROR, follows_policy=True, without_faults=True)
def tell_forms(evidence: Evidence, trials: Trials) -> Told:
    """Gives a direct dispatch its grid in each form that a caller may use; tells which go wrong."""
    op = evidence.culprit
    is_about = any("grid" in got for _, got in evidence.failure.sides)
    if not isinstance(op, AnyDispatch) or not (is_about or evidence.case.client == _MUTATING):
        return NOTHING
    mutating = trials.having(client=_MUTATING)
    tried = {form: mutating.run(_given(form, grid)) for form, grid in _FORMS.items()}
    wrong = [form for form, judged in tried.items() if judged.failure is not None]
    right = [form for form in tried if form not in wrong]
    if not wrong or not right:
        return NOTHING
    ran = " or ".join(dict.fromkeys(filter(None, (_over(form, tried[form]) for form in wrong))))
    pair = "the grid of an indirect dispatch is passed as a pair as well, (buffer, offset)"
    return told(
        f"tried direct dispatches by the form in which the caller gives the grid: wrong "
        f"{'is' if len(wrong) == 1 else 'are'} {' and '.join(wrong)}{ran and f', {ran}'}; right "
        f"are {', '.join(right)}",
        pair if isinstance(op, DispatchIndirect) else "",
    )


def _over(form: str, judged: Verdict) -> str:
    """Says over which wrong groups the dispatch ran; "" if its groups are right."""
    for call in calls_of(judged.execution.trace, "dispatch"):
        groups = call.event["groups"]
        if groups != _FORMS[form]:
            return f"run over {_shown(groups)} groups, and not over {_shown(_FORMS[form])}"
    return ""


def _given(form: str, grid: Grid) -> str:
    """A program with one dispatch, to which the client gives its grid in that form."""
    forms = (
        Dispatch(kernel="tally", buffers=("x",), scalars=(each,), grid=grid)
        for each in range(1, _MOST_DRAWN)
    )
    op = next(each for each in forms if repr(grid_of(each)) == form)
    return f"alloc x 64\n{write_op(op)}\nread x 0 64 -> rx\n"


@by_trial()
def tell_full(evidence: Evidence, trials: Trials) -> Told:
    """Tries a dispatch that ran over the wrong groups with a larger grid; tells how many run.

    Also tells if it had to submit the commands before it, because the uniforms were full.
    """
    op, at = evidence.culprit, evidence.argument.culprit
    if evidence.kind != _GRID or not isinstance(op, Dispatch) or not evidence.traced.is_known:
        return NOTHING
    facts = [
        f"op {at} found the uniforms full, so it first submitted the commands before it (call "
        f"{call.number}, reason: {_FULL})"
        for call in calls_of(evidence.trace, "encode", reason=_FULL)
        if call.position == at
    ]
    judged = trials.run(instead(evidence.program, at, replace(op, grid=_LARGER)))
    groups = _groups_of(judged, at)
    if groups is not None:
        ran = prod(groups) or "none"
        facts.append(f"tried over {prod(_LARGER)} groups, op {at} ran over {ran}")
    return told(*facts[:2])


@by_trial(FailureKind.VALUE, without_faults=True)
def tell_groups(evidence: Evidence, trials: Trials) -> Told:
    """Finds the smallest grid that goes wrong; tells how many groups run for grids near it."""
    op = evidence.culprit
    if evidence.kind != _GRID or not isinstance(op, Dispatch):
        return NOTHING

    def is_right(groups: int) -> bool:
        return _ran(trials, (groups, 1, 1)) == groups

    most = prod(op.grid)
    if most > _MOST_GROUPS or not is_right(1) or is_right(most):
        return NOTHING
    low, high = edge(1, most, is_right)
    grids = [(n, 1, 1) for n in (low, high, high + 1, 2 * high)] + [(1, high, 1), (1, 1, high)]
    said = [f"{_shown(grid)} runs {_ran(trials, grid)}" for grid in grids]
    return told(f"tried dispatches alone, and counted the groups that run: {', '.join(said)}")


def _ran(trials: Trials, grid: Grid) -> int:
    """How many groups a dispatch over ``grid`` runs; -1 if that is unclear.

    The kernel adds up the numbers of its groups, from 1.
    """
    text = f"alloc x 4\ndispatch tally x 1 {_shown(grid)}\nread x 0 4 -> r\n"
    total = int.from_bytes(trials.last_data(text), "little")
    count = (isqrt(8 * total + 1) - 1) // 2
    return count if count * (count + 1) // 2 == total else -1
