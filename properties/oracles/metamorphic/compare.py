"""A case as it is and transformed, held against each other where they correspond.

The verdict is the first op of the original that shows something else in its
image.  No reference is asked: that the two agree is all that is known.
"""

from gpusim.history import Outcome
from gpusim.ops import Op, Read, Sync
from gpusim.program import Program
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Uniforms
from gpusim.text import write_op
from properties.execute import name_of
from properties.model.case import Image, Promise
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.metamorphic.effects import rounded_buffers

_SHOWN_BYTES = 32


def compare_image(image: Image, original: Execution, transformed: Execution) -> Failure | None:
    """The first op of the original that shows something else in its image.

    The trait of the failure is what differs: error, value, delivery order, promise,
    objects or close.
    """
    comparison = _Comparison(image, original, transformed)
    return (
        comparison.ops()
        or comparison.promises()
        or comparison.deliveries()
        or comparison.objects()
        or comparison.closing()
    )


def pooled_buffers_made(execution: Execution) -> list[int]:
    """Pooled buffers made by the end of each op, as far as the policy promises reuse."""
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
    def __init__(self, image: Image, original: Execution, transformed: Execution) -> None:
        self._program = program = original.case.program
        self._image = image
        self._before, self._after = original.history, transformed.history
        self._executions = original, transformed
        self._capabilities = original.capabilities
        self._names = _result_names(program, image)
        same = image.same_adapter
        self._rounded = frozenset() if same else rounded_buffers(program, original.kernels)

    def ops(self) -> Failure | None:
        """Errors and values, op by op."""
        for position, op in enumerate(self._program):
            places = self._image.places[position]
            if places:
                shown = [self._after.outcomes[place] for place in places]
                found = self._op(position, op, self._before.outcomes[position], shown)
                if found is not None:
                    return found
        return None

    def promises(self) -> Failure | None:
        """What the transformation put in, which was known beforehand."""
        for promise in self._image.promises:
            shown = self._after.outcomes[promise.position]
            if promise.data is None and not self._capabilities.refuses:
                continue
            if not _is_kept(promise, shown):
                meant = "a refusal" if promise.data is None else _bytes(promise.data)
                op = write_op(self._image.case.program[promise.position])
                reason = f"{op} was put in, and what it shows is known"
                return self._at_end("promise", reason, meant, _show(shown))
        return None

    def deliveries(self) -> Failure | None:
        """The order of the deliveries as a whole."""
        if not self._capabilities.orders_deliveries:
            return None
        meant, shown = self._ordered(self._before.deliveries, self._after.deliveries)
        if meant == shown:
            return None
        reason = "reads are delivered in the order in which they were issued"
        return self._at_end("delivery order", reason, ", ".join(meant), ", ".join(shown))

    def objects(self) -> Failure | None:
        """Where work is repeated, what was made for it the first time serves again."""
        steady, transformed = self._image.steady, self._executions[1]
        if steady is None or any(event.kind.endswith(".evicted") for event in transformed.trace):
            return None
        start, end = steady
        made = pooled_buffers_made(transformed)
        if not made:
            return None
        new = made[end - 1] - made[start - 1] if end > start > 0 else 0
        if not new:
            return None
        reason = "a pool that never gave an object up makes none for work it has done before"
        return self._at_end("objects", reason, "0 new uniform and staging buffers", f"{new}")

    def closing(self) -> Failure | None:
        """The sync after the last op, and the closing of the target."""
        meant, shown = self._before.closing, self._after.closing
        if meant is not None and shown is not None and meant.error != shown.error:
            reason = "the sync after the last op ends in another way"
            return self._at_end("close", reason, _show(meant), _show(shown))
        errors = [execution.close_error for execution in self._executions]
        ends = ["no error" if error is None else name_of(error) for error in errors]
        if ends[0] == ends[1]:
            return None
        return self._at_end("close", "closing ends in another way", ends[0], ends[1])

    def _op(self, position: int, op: Op, meant: Outcome, shown: list[Outcome]) -> Failure | None:
        for one in shown:
            if (one.error, one.late_error) != (meant.error, meant.late_error):
                reason = "it is refused or fails in one of the two"
                return self._differs(position, "error", reason, _show(meant), _show(one))
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
        """The deliveries by the time a sync returned."""
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
        """Both lists by the names of the image, without what only one of the two reads."""
        known = {name for names in self._names.values() for name in names}
        meant = tuple(name for result in before for name in self._names.get(result, ()))
        return meant, tuple(name for name in after if name in known)

    def _differs(self, position: int, kind: str, reason: str, meant: str, shown: str) -> Failure:
        return _failure(position, write_op(self._program[position]), kind, reason, meant, shown)

    def _at_end(self, kind: str, reason: str, meant: str, shown: str) -> Failure:
        end = len(self._program)
        return _failure(end, "the end of the program", kind, reason, meant, shown)


def _failure(position: int, op: str, what: str, reason: str, meant: str, shown: str) -> Failure:
    return Failure(
        kind=FailureKind.RELATION,
        trait=what,
        position=position,
        op=op,
        what=what,
        reason=reason,
        sides=(("as it is", meant), ("transformed", shown)),
    )


def _result_names(program: Program, image: Image) -> dict[str, tuple[str, ...]]:
    """The results in the image that stand for each result of the original."""
    names = {}
    for op, places in zip(program, image.places, strict=True):
        if isinstance(op, Read):
            others = [image.case.program[place] for place in places]
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
    problem = outcome.error or outcome.late_error
    if problem is not None:
        return problem
    return "accepted" if outcome.data is None else _bytes(outcome.data)
