"""Compares a case with its rewrite, op by corresponding op.

No reference is needed.  ``judge_relations`` runs the rewrite and compares it with the original
run.  A case on a device with planned faults is compared with another rewrite: the program without
the ops that raised a fault, on a device without faults.  An op that raised did not happen, so the
others must show the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN, Kernel
from gpusim.ops import Alloc, Capture, Op, Read, Replay, Sync
from gpusim.program import Program, buffers_of
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Uniforms
from gpusim.simulated import NO_FAULTS
from gpusim.text import write_op
from properties.execute import failed_with, name_of
from properties.generate.fitting import is_within_capabilities
from properties.model.case import Case, Promise, Rewrite, Transformation
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.compare import details_of, shown_as
from properties.oracles.metamorphic.rewrites import Rewriting, rounded_buffers, unchanged

_SHOWN_BYTES = 32


def compare_rewrite(
    rewrite: Rewrite, original: Execution, transformed: Execution
) -> Failure | None:
    """The first difference between what the original and the rewrite show, as a failure.

    The trait of the failure names what differs: error, value, delivery order, promise,
    objects or close.
    """
    comparison = _Comparison(rewrite, original, transformed)
    return (
        comparison.ops()
        or comparison.promises()
        or comparison.deliveries()
        or comparison.objects()
        or comparison.closing()
    )


def pooled_buffers_made(execution: Execution) -> list[int]:
    """The number of buffers that pools have made by the end of each op."""
    policy = execution.case.policy
    roles = [Role.UNIFORM.value] if policy.uniforms is not Uniforms.FRESH else []
    roles += [Role.STAGING.value] if policy.staging_buffers else []
    counts, made = [], 0
    for event in execution.trace:
        made += event.kind == "create_buffer" and event["role"] in roles
        if event.kind == "outcome":
            counts.append(made)
    return counts


class _Comparison:
    def __init__(self, rewrite: Rewrite, original: Execution, transformed: Execution) -> None:
        self._program = program = original.case.program
        self._rewrite = rewrite
        self._before, self._after = original.history, transformed.history
        self._executions = original, transformed
        self._capabilities = original.capabilities
        self._names = _result_names(program, rewrite)
        same = rewrite.same_adapter
        self._rounded = frozenset() if same else rounded_buffers(program, original.kernels)

    def ops(self) -> Failure | None:
        """Compare errors and values, op by op."""
        for position, op in enumerate(self._program):
            places = self._rewrite.places[position]
            if places:
                shown = [self._after.outcomes[place] for place in places]
                found = self._op(position, op, self._before.outcomes[position], shown)
                if found is not None:
                    return found
        return None

    def promises(self) -> Failure | None:
        """Check the inserted ops whose results are known beforehand."""
        for promise in self._rewrite.promises:
            shown = self._after.outcomes[promise.position]
            if promise.data is None and not self._capabilities.is_exact:
                continue
            if not _is_kept(promise, shown):
                meant = "a refusal" if promise.data is None else _bytes(promise.data)
                op = write_op(self._rewrite.case.program[promise.position])
                reason = f"{op} was inserted, and its result is known"
                return self._at_end("promise", reason, meant, _show(shown), details_of(shown))
        return None

    def deliveries(self) -> Failure | None:
        """Compare the order of all deliveries of the two runs."""
        if not self._capabilities.orders_deliveries:
            return None
        meant, shown = self._ordered(self._before.deliveries, self._after.deliveries)
        if meant == shown:
            return None
        reason = "reads are delivered in the order in which they were issued"
        return self._at_end("delivery order", reason, ", ".join(meant), ", ".join(shown))

    def objects(self) -> Failure | None:
        """Check that repeated work makes no new pooled objects."""
        steady, transformed = self._rewrite.steady, self._executions[1]
        if steady is None or any(event.kind.endswith(".evicted") for event in transformed.trace):
            return None
        start, end = steady
        made = pooled_buffers_made(transformed)
        if not made:
            return None
        new = made[end - 1] - made[start - 1] if end > start > 0 else 0
        if not new:
            return None
        reason = "a pool that has dropped nothing makes no new object for repeated work"
        return self._at_end("objects", reason, "0 new uniform and staging buffers", f"{new}")

    def closing(self) -> Failure | None:
        """Compare how the sync after the last op ends, and how the close of the target ends."""
        meant, shown = self._before.closing, self._after.closing
        if meant is not None and shown is not None and meant.error != shown.error:
            reason = "the sync after the last op ends in another way"
            return self._at_end("close", reason, _show(meant), _show(shown), _details(meant, shown))
        errors = [execution.close_error for execution in self._executions]
        ends = [Outcome() if error is None else failed_with(error) for error in errors]
        if ends[0] == ends[1]:
            return None
        before, after = (shown_as(end, "no error") for end in ends)
        reason = "closing ends in another way"
        return self._at_end("close", reason, before, after, _details(*ends))

    def _op(self, position: int, op: Op, meant: Outcome, shown: list[Outcome]) -> Failure | None:
        for one in shown:
            if (one.error, one.late_error) != (meant.error, meant.late_error):
                reason = "its error differs, or only one of the two runs has an error"
                details = _details(meant, one)
                return self._differs(position, "error", reason, _show(meant), _show(one), details)
        if isinstance(op, Sync):
            return self._sync(position, meant, shown)
        if not isinstance(op, Read) or meant.data is None or op.buffer in self._rounded:
            return None
        data = b"".join(one.data or b"" for one in shown)
        if data == meant.data:
            return None
        start = _first_difference(meant.data, data)
        reason = f"the value differs from byte {op.offset + start} of {op.buffer} on"
        sides = [_bytes(side[start // 4 * 4 :]) for side in (meant.data, data)]
        return self._differs(position, "value", reason, sides[0], sides[1])

    def _sync(self, position: int, meant: Outcome, shown: list[Outcome]) -> Failure | None:
        """Compare which reads were delivered by the time a sync returned."""
        if not self._capabilities.orders_deliveries or meant.error is not None:
            return None
        names, others = self._ordered(_listed(meant), _listed(shown[0]))
        if names == others:
            return None
        reason = "other reads were delivered by the time it returned"
        return self._differs(
            position, "delivery order", reason, ", ".join(names), ", ".join(others)
        )

    def _ordered(
        self, before: tuple[str, ...], after: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Both lists, with the rewrite's names for the reads, and without reads that only one of
        the two programs has."""
        known = {name for names in self._names.values() for name in names}
        meant = tuple(name for result in before for name in self._names.get(result, ()))
        return meant, tuple(name for name in after if name in known)

    def _differs(
        self, position: int, what: str, reason: str, meant: str, shown: str, details: str = ""
    ) -> Failure:
        return Failure(
            kind=FailureKind.RELATION,
            trait=what,
            position=position,
            op=self._op_at(position),
            what=what,
            reason=reason,
            sides=(("as it is", meant), ("transformed", shown)),
            details=details,
        )

    def _at_end(self, what: str, reason: str, meant: str, shown: str, details: str = "") -> Failure:
        return self._differs(len(self._program), what, reason, meant, shown, details)

    def _op_at(self, position: int) -> str:
        is_end = position == len(self._program)
        return "the end of the program" if is_end else write_op(self._program[position])


def _result_names(program: Program, rewrite: Rewrite) -> dict[str, tuple[str, ...]]:
    """The results in the rewrite for each result of the original."""
    names = {}
    for op, places in zip(program, rewrite.places, strict=True):
        if isinstance(op, Read):
            others = [rewrite.case.program[place] for place in places]
            names[op.result] = tuple(other.result for other in others if isinstance(other, Read))
    return names


def _is_kept(promise: Promise, shown: Outcome) -> bool:
    if promise.data is None:
        return shown.error is not None
    return shown.error is None and shown.data == promise.data


def _listed(outcome: Outcome) -> tuple[str, ...]:
    return tuple(outcome.data.decode().split(",")) if outcome.data else ()


def _first_difference(meant: bytes, shown: bytes) -> int:
    pairs = zip(meant, shown, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), 0)


def _bytes(data: bytes) -> str:
    more = "" if len(data) <= _SHOWN_BYTES else f" and {len(data) - _SHOWN_BYTES} bytes more"
    return f"{data[:_SHOWN_BYTES].hex(' ', 4) or 'no bytes'}{more}"


def _show(outcome: Outcome) -> str:
    return shown_as(outcome, "accepted" if outcome.data is None else _bytes(outcome.data))


def _details(*outcomes: Outcome) -> str:
    return next(filter(None, map(details_of, outcomes)), "")


def transform(
    case: Case,
    transformations: Sequence[Transformation],
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> Rewrite | None:
    """The rewrite under all transformations in turn; None if one does not apply."""
    rewrite = unchanged(case)
    for transformation in transformations:
        later = transformation.apply(rewrite.case, kernels)
        if later is None:
            return None
        rewrite = rewrite.then(later)
    return rewrite


def judge_relations(original: Execution, again: Callable[[Case], Execution]) -> Failure | None:
    """The first difference between ``original`` and the rewrite of its case.

    ``again`` executes the rewrite.  None if they do not differ, if a transformation does not apply,
    or if the rewrite asks for more than the target promises.
    """
    case, kernels = original.case, original.kernels
    rewrite = transform(case.plain, case.transformations, kernels)
    if rewrite is None:
        return None
    limits = rewrite.case.limits(original.limits)
    if not is_within_capabilities(rewrite.case.program, original.capabilities, kernels, limits):
        return None
    failure = compare_rewrite(rewrite, original, again(rewrite.case))
    if failure is None:
        return None
    words = "; ".join(transformation.description for transformation in case.transformations)
    return replace(failure, notes=(*failure.notes, f"with: {words}"))


def signature(transformations: Sequence[Transformation], failure: Failure) -> tuple[str, ...]:
    """The trait, the verb of the op and the kinds of transformations.

    Failures with equal signatures count as the same.
    """
    kinds = sorted({transformation.name for transformation in transformations})
    return failure.trait, failure.op.split()[0], *kinds


def judge_without_faults(shown: Execution, again: Callable[[Case], Execution]) -> Failure | None:
    """The failure if a case on a failing device shows something that no fault explains.

    ``again`` executes the case without its faults, and without the ops that they stopped.
    """
    faults = shown.case.device.shown_faults
    rewrite = _without_stopped(shown.case.plain, shown.history, faults)
    if rewrite is None:
        return None
    sound = again(rewrite.case)
    error = shown.close_error
    excused = replace(
        shown,
        history=_excused(shown.history, faults),
        close_error=None if error is not None and name_of(error) in faults else error,
    )
    failure = compare_rewrite(rewrite, excused, sound)
    if failure is None:
        return None
    note = "with: no faults, and without the ops that the faults stopped"
    return replace(failure, notes=(*failure.notes, note))


def _without_stopped(case: Case, history: History, faults: frozenset[str]) -> Rewrite | None:
    """The case without faults and without the ops that a fault stopped.

    Ops that need a buffer or graph which a dropped op should have made are dropped too.
    """
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
    return rewriting.rewrite()


def _excused(history: History, faults: frozenset[str]) -> History:
    """The history without a closing sync that a fault stopped."""
    closing = history.closing
    if closing is not None and closing.error in faults:
        return replace(history, closing=None)
    return history
