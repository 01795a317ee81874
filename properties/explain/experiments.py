"""Runs a failing case again with one thing changed, to see what matters and what does not.

Everything here runs the target, through a function that the caller passes.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from gpusim.errors import ProgramError
from gpusim.ops import Alloc, Flush, Op, Read, Sync
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.explain.neighbours import instead
from properties.explain.scene import Scene
from properties.explain.search import Shown
from properties.explain.trials import Judge, Trials, sides
from properties.explain.vivid import vivid
from properties.model.case import PLAIN, UNSEEDED, Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.rewrites import fresh_names, sizes_of
from properties.targets.factory import first_number

_MOST_OPS = 60
"""A longer program is not run with other data, since the search could not use the result."""
_MOST_PLACES = 12
_OF_THE_END = (FailureKind.CRASH, FailureKind.FAULTS)
"""Kinds of failures that may show only after the last op."""
_GATHERED = "batch_commands"
_MOST_BYTES = 1 << 16
_WAYS = ((True, True), (True, False), (False, True), (False, False))
"""For each run with other data, whether buffers are filled first, and whether all are read last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Others:
    """Runs of the same ops with other data: how many, and those that failed in the same way."""

    shown: tuple[Shown, ...] = ()
    runs: int = 0
    whole: tuple[Shown, ...] = ()
    """The run in which the failing read takes its whole buffer, if that run fails as well."""
    plain_failed: bool = False
    """Whether the case fails with other data and no other change."""

    @property
    def free(self) -> str:
        """What data and scalars may be for the case to fail; empty if nothing was run."""
        if not self.runs:
            return ""
        if self.plain_failed:
            return "data and scalars may be anything"
        if self.shown:
            return "data and scalars may be anything if the buffers are filled first"
        return "the data matter: with other data and scalars it passes"


def shown_by(verdict: Verdict, numbers: tuple[int, ...] = ()) -> Shown:
    """What an execution showed, for the search; ``numbers`` as in ``Scene``."""
    execution = verdict.execution
    scene = Scene(
        program=execution.case.program,
        expected=verdict.expected,
        kernels=execution.kernels,
        limits=execution.limits,
        numbers=numbers,
        client=execution.case.client,
    )
    return Shown(scene=scene, got=execution.history, capabilities=execution.capabilities)


def with_other_data(verdict: Verdict, failure: Failure, again: Judge) -> Others:
    """Runs the case with other data in four ways: see ``_WAYS``.

    In one more run, the data stay and the failing read takes its whole buffer.
    """
    case, kernels = verdict.execution.case, verdict.execution.kernels
    if len(case.program) > _MOST_OPS:
        return Others()
    trials, shown, plain = Trials(case, again), list[Shown](), False
    for seed, (fills, looks) in enumerate(_WAYS):
        other = vivid(case.program, kernels, fills=fills, looks=looks, seed=seed)
        judged = trials.run(other.program)
        if judged.failure is not None and judged.failure.kind is failure.kind:
            shown.append(shown_by(judged, other.numbers))
            plain = plain or not (fills or looks)
    whole = _of_all_bytes(trials, failure)
    return Others(shown=tuple(shown), runs=len(_WAYS), whole=whole, plain_failed=plain)


def _of_all_bytes(trials: Trials, failure: Failure) -> tuple[Shown, ...]:
    """The run in which the failing read takes its whole buffer: a mistake must explain all of it.
    Empty if there is no such run, or if it does not fail in the same way.
    """
    program, op = trials.case.program, trials.case.program[failure.position]
    size = sizes_of(program).get(op.buffer, 0) if isinstance(op, Read) else 0
    if not isinstance(op, Read) or not op.size_bytes < size <= _MOST_BYTES:
        return ()
    whole = replace(op, offset=0, size_bytes=size)
    judged = trials.run(instead(program, failure.position, whole))
    is_like = judged.failure is not None and judged.failure.signature == failure.signature
    return (shown_by(judged),) if is_like else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Boundary:
    """An op that makes the case pass if it is inserted before the op at ``at``."""

    at: int
    verb: str

    is_end: bool = False
    """Whether the op is inserted at the end of the program."""

    def __str__(self) -> str:
        where = f"after op {self.at - 1}" if self.is_end else f"before op {self.at}"
        return f"with a {self.verb} {where}"


def boundaries(case: Case, kind: FailureKind, again: Judge) -> tuple[Boundary, ...]:
    """The places where an inserted flush makes the case pass.

    If a flush helps nowhere, the places where a sync does; if a sync helps nowhere, those where a
    read does.  Only the first ``_MOST_PLACES`` places are tried.
    """
    program, ops = case.program, case.program.ops
    inserted: list[tuple[Op, int]] = [(Flush(), 1), (Sync(), 1), *_read_again(program)]
    if kind is FailureKind.STATISTICS:
        # With a flush it may pass just because the judge looks at the counters after another op.
        inserted = [(Sync(), 1)]
    end = len(program) + (kind in _OF_THE_END)
    for op, first in inserted:
        found = tuple(
            Boundary(at=at, verb=op.verb, is_end=at == len(program))
            for at in range(first, min(end, _MOST_PLACES))
            if _passes(replace(case, program=Program((*ops[:at], op, *ops[at:]))), again)
        )
        if found:
            return found[::-1] if kind is FailureKind.STATISTICS else found
    return ()


def last_needed(case: Case, failure: Failure, again: Judge) -> int:
    """The last op that the case needs to fail, if it stands after the failing op; else -1.

    Only the last ``_MOST_PLACES`` ops are tried.
    """
    ops = case.program.ops
    ends = range(len(ops) - 1, failure.position, -1)[:_MOST_PLACES]
    return next((at for at in ends if _passes(replace(case, program=Program(ops[:at])), again)), -1)


def _read_again(program: Program) -> Iterator[tuple[Op, int]]:
    """The first read of the program under another name, and the first position where it may stand.

    Some runtimes hold commands back until a read, even if a flush is called.
    """
    reads = [op for op in program if isinstance(op, Read)]
    if reads:
        made = [op.buffer if isinstance(op, Alloc) else "" for op in program]
        (result,) = fresh_names(program, 1)
        with suppress(ValueError):
            yield replace(reads[0], result=result), made.index(reads[0].buffer) + 1


def settings(case: Case, again: Judge) -> Iterator[str]:
    """The settings, one at a time, with which the case passes."""
    for text, changed in changed_settings(case):
        if _passes(changed, again):
            yield text


def changed_settings(case: Case) -> Iterator[tuple[str, Case]]:
    """The case with one thing changed, each time with the change in words.

    Changed are the client, fields of the policy or all of it, the scheduler, and the number of the
    first buffer.
    """
    if case.client != PLAIN:
        yield f"called plainly, not by client {case.client}", replace(case, client=PLAIN)
    if not case.follows_no_policy:
        eager = PRESETS["eager"]
        # That a case passes without batches says least, so this is tried last.
        for field in sorted(fields(case.policy), key=lambda field: field.name == _GATHERED):
            simple = getattr(eager, field.name)
            if field.name != "name" and getattr(case.policy, field.name) != simple:
                with suppress(ProgramError):
                    policy = replace(case.policy, **{field.name: simple})
                    own = getattr(case.policy, field.name)
                    was = f" for {own}" if type(own) is int else ""
                    yield f"with {field.name}={_shown(simple)}{was}", replace(case, policy=policy)
        for name in ("eager", "lazy"):
            if case.policy.name != name:
                yield f"under policy {name}", replace(case, policy=PRESETS[name])
        first = first_number(case.seed)
        if first != 1:
            yield f"with buffers counted from 1, and not from {first}", replace(case, seed="")
    if case.device.is_simulated:
        for scheduler in UNSEEDED:
            if scheduler != case.device.scheduler:
                device = replace(case.device, scheduler=scheduler, schedule=())
                yield f"under scheduler {scheduler}", replace(case, device=device)


def _shown(value: object) -> str:
    return str(getattr(value, "value", value))


def _passes(case: Case, again: Judge) -> bool:
    return again(case).failure is None


def looked_at(
    verdict: Verdict, failure: Failure, again: Judge
) -> tuple[Read, bytes, bytes, bytes] | None:
    """Runs the failing read with other data, filled buffers and a read of each buffer at the end.

    Gives the read, what it should give, what it gave, and what its whole buffer should hold.  None
    if this run tells nothing, for instance because it passes or because the failing op is no read.
    """
    case, kernels = verdict.execution.case, verdict.execution.kernels
    if len(case.program) > _MOST_OPS:
        return None
    other = vivid(case.program, kernels, fills=True, looks=True, seed=0)
    judged = Trials(case, again).run(other.program)
    pairs, at = sides(judged), other.numbers.index(failure.position)
    op, (meant, got) = other.program[at], pairs[at]
    if judged.failure is None or not isinstance(op, Read):
        return None
    wholes = {
        each.result: meant
        for each, (meant, _) in zip(other.program, pairs, strict=True)
        if isinstance(each, Read)
    }
    whole = wholes.get(f"look_{op.buffer}")
    if meant is None or got is None or meant == got or whole is None:
        return None
    return op, meant, got, whole
