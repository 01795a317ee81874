"""The law of determinism: it holds of two traces, so that it is a function of both."""

from itertools import zip_longest

from gpusim.trace import Trace
from properties.model.failure import Failure
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.law import broken


def compare_traces(first: Trace, second: Trace) -> Failure | None:
    """The first event in which two runs of one program differ."""
    position, op = -1, None
    for one, other in zip_longest(first, second):
        if one is not None and one.kind == "op":
            position, op = one["position"], one["op"]
        if one != other:
            said = " and ".join(
                "nothing" if event is None else str(event) for event in (one, other)
            )
            return broken(laws.H1, position, op, f"two runs gave {said}")
    return None
