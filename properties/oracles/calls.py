"""Compares the calls that a simulated device has counted with the verbs of its driver.

A trace has the verbs.  It does not show what a driver does for a verb, such as how many compute
passes it begins for a batch.  With ``merge_passes`` a policy promises one pass for dispatches in a
row.  A drain waits for a map of its own, and makes the two buffers that this needs.  A driver asks
whether its device is alive only while it waits in vain.  A program that meets a fault is not
checked, since a failed verb may have made some of its calls.  Nothing here looks at values.
"""

from collections import Counter
from itertools import pairwise
from zlib import crc32

from gpusim.trace import Trace
from properties.model.case import PLAIN, UNSEEDED
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind

_ONE_IN = 3
_VERBS = {
    "buffer": ("create_buffer", 2),
    "bind group": ("create_bind_group", 0),
    "write": ("write_buffer", 0),
    "command encoder": ("encode", 1),
    "submit": ("submit", 1),
    "map": ("map", 1),
}
"""For each kind of call: the verb that makes it, and how often a drain makes it."""


def judge_calls(execution: Execution) -> Failure | None:
    """The failure if a driver has made more or fewer calls than the verbs of the trace need.

    The seed of a case decides whether it is checked: one case in three is.
    """
    case, counted = execution.case, execution.device_calls
    is_drawn = not case.seed or not crc32(f"calls {case.seed}".encode()) % _ONE_IN
    # A drain that is late leaves no event.
    may_be_late = case.policy.wait_seconds is not None
    if counted is None or not is_drawn or may_be_late or execution.trace.failures:
        return None
    needed = _needed(execution.trace, merges=case.policy.merge_passes)
    if case.client != PLAIN or case.device.scheduler not in UNSEEDED:
        # Somebody may have waited in vain.
        del needed["command encoder"]
    for call, number in needed.items():
        if counted.get(call, 0) != number:
            return Failure(
                kind=FailureKind.COST,
                trait=f"calls: {call}",
                position=len(case.program),
                op="the end of the program",
                reason=f"the device has counted {counted.get(call, 0)} calls of the kind "
                f"{call}, and the verbs of the driver need {number}",
            )
    return None


def _needed(trace: Trace, *, merges: bool) -> dict[str, int]:
    """How many calls of each kind the verbs need."""
    kinds = [event.kind for event in trace]
    verbs = Counter(kinds)
    drains = verbs["drain"]
    needed = {call: verbs[verb] + each * drains for call, (verb, each) in _VERBS.items()}
    needed["compute pass"] = verbs["dispatch"]
    if merges:
        in_a_row = [one == other == "dispatch" for one, other in pairwise(kinds)]
        needed["compute pass"] -= sum(in_a_row)
    return needed
