"""A case as it is and transformed, held against each other where they correspond.

The verdict is the first op of the original that shows something else in its
image.  No reference is asked: that the two agree is all that is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gpusim.history import Outcome
from gpusim.kernels import Kernel
from gpusim.program import Op, Program, Read, Sync
from gpusim.text import write_op
from properties.oracles.metamorphic.effects import rounded_buffers
from properties.oracles.metamorphic.execution import Execution
from properties.oracles.metamorphic.image import Image, Promise

_SHOWN_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """Where a case and its image part.

    ``position`` counts the ops of the original, or is its length for what only
    shows at the end.  ``kind`` is error, value, delivery order, promise, objects
    or close.
    """

    position: int
    op: str
    kind: str
    reason: str
    as_it_is: str
    transformed: str

    def __str__(self) -> str:
        return (
            f"op {self.position}: {self.op}\n"
            f"  {self.kind}: {self.reason}\n"
            f"  as it is:    {self.as_it_is}\n"
            f"  transformed: {self.transformed}"
        )


def compare_image(
    program: Program,
    image: Image,
    original: Execution,
    transformed: Execution,
    kernels: Mapping[str, Kernel],
) -> Violation | None:
    """The first op of ``program`` that shows something else in its image."""
    comparison = _Comparison(program, image, original, transformed, kernels)
    return (
        comparison.ops()
        or comparison.promises()
        or comparison.deliveries()
        or comparison.objects()
        or comparison.closing()
    )


class _Comparison:
    def __init__(
        self,
        program: Program,
        image: Image,
        original: Execution,
        transformed: Execution,
        kernels: Mapping[str, Kernel],
    ) -> None:
        self._program = program
        self._image = image
        self._before, self._after = original.history, transformed.history
        self._executions = original, transformed
        self._capabilities = original.capabilities
        self._names = _result_names(program, image)
        same = image.same_adapter
        self._rounded = frozenset() if same else rounded_buffers(program, kernels)

    def ops(self) -> Violation | None:
        """Errors and values, op by op."""
        for position, op in enumerate(self._program):
            places = self._image.places[position]
            if places:
                shown = [self._after.outcomes[place] for place in places]
                found = self._op(position, op, self._before.outcomes[position], shown)
                if found is not None:
                    return found
        return None

    def promises(self) -> Violation | None:
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

    def deliveries(self) -> Violation | None:
        """The order of the deliveries as a whole."""
        if not self._capabilities.orders_deliveries:
            return None
        meant, shown = self._ordered(self._before.deliveries, self._after.deliveries)
        if meant == shown:
            return None
        reason = "reads are delivered in the order in which they were issued"
        return self._at_end("delivery order", reason, ", ".join(meant), ", ".join(shown))

    def objects(self) -> Violation | None:
        """Where work is repeated, what was made for it the first time serves again."""
        made, steady = self._executions[1].made, self._image.steady
        if steady is None or not made or self._executions[1].evicted:
            return None
        start, end = steady
        new = made[end - 1] - made[start - 1] if end > start > 0 else 0
        if not new:
            return None
        reason = "a pool that never gave an object up makes none for work it has done before"
        return self._at_end("objects", reason, "0 new uniform and staging buffers", f"{new}")

    def closing(self) -> Violation | None:
        """The sync after the last op, and the closing of the target."""
        meant, shown = self._before.closing, self._after.closing
        if meant is not None and shown is not None and meant.error != shown.error:
            reason = "the sync after the last op ends in another way"
            return self._at_end("close", reason, _show(meant), _show(shown))
        ends = [execution.closed_with or "no error" for execution in self._executions]
        if ends[0] == ends[1]:
            return None
        return self._at_end("close", "closing ends in another way", ends[0], ends[1])

    def _op(self, position: int, op: Op, meant: Outcome, shown: list[Outcome]) -> Violation | None:
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

    def _sync(self, position: int, meant: Outcome, shown: list[Outcome]) -> Violation | None:
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

    def _differs(self, position: int, kind: str, reason: str, meant: str, shown: str) -> Violation:
        return Violation(
            position=position,
            op=write_op(self._program[position]),
            kind=kind,
            reason=reason,
            as_it_is=meant,
            transformed=shown,
        )

    def _at_end(self, kind: str, reason: str, meant: str, shown: str) -> Violation:
        return Violation(
            position=len(self._program),
            op="the end of the program",
            kind=kind,
            reason=reason,
            as_it_is=meant,
            transformed=shown,
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
