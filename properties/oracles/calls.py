"""Compares the calls that a simulated device has counted with the verbs of its driver.

A trace has the verbs.  It does not show what a driver does for a verb, such as how many compute
passes it begins for a batch.  With ``merge_passes`` a policy promises one pass for dispatches in a
row.  A drain waits for a map of its own, and makes the two buffers that this needs.  A driver that
waits in vain makes command encoders, to see whether its device is alive.  A program that meets a
fault is not checked, since a failed verb may have made some of its calls.  Nothing here looks at
values.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from gpusim.trace import Trace
from properties.model.case import PLAIN, UNSEEDED
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind

_ONE_IN = 6
_VERBS = {
    "buffer": ("create_buffer", 2),
    "bind group": ("create_bind_group", 0),
    "write": ("write_buffer", 0),
    "command encoder": ("encode", 1),
    "submit": ("submit", 1),
    "map": ("map", 1),
    "unmap": ("take", 1),
    "destroy": ("destroy_buffer", 2),
}
"""For each kind of call: the verb that makes it, and how often a drain makes it."""


def judge_calls(execution: Execution) -> Failure | None:
    """The failure if a driver has made more or fewer calls than the verbs of the trace need.

    The seed of a case decides whether it is checked: one case in six is.
    """
    case, counted = execution.case, execution.device_calls
    is_drawn = not case.seed or not crc32(f"calls {case.seed}".encode()) % _ONE_IN
    # A drain that is late leaves no event.
    may_be_late = case.policy.wait_seconds is not None
    if counted is None or not is_drawn or may_be_late or execution.trace.failures:
        return None
    needed = _needed(execution.trace, case.policy.merge_passes)
    if case.client != PLAIN or case.device.scheduler not in UNSEEDED:
        # The driver may have waited in vain.
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


def _needed(trace: Trace, merges: bool) -> dict[str, int]:
    """How many calls of each kind the verbs need."""
    verbs = Counter([event.kind for event in trace])
    drains = verbs["drain"]
    needed = {call: verbs[verb] + each * drains for call, (verb, each) in _VERBS.items()}
    return needed | _needed_in_passes(trace, merges)


def _needed_in_passes(trace: Trace, merges: bool) -> Counter[str]:
    """How many passes are begun, and how often something is set in them.

    A pipeline or a bind group is set only if it differs from that of the dispatch before.
    """
    needed = Counter({"compute pass": 0})
    last: Mapping[str, Any] | None = None
    for event in trace:
        if event.kind == "dispatch":
            now = event.about
            needed["compute pass"] += last is None
            needed["set pipeline"] += last is None or now["kernel"] != last["kernel"]
            needed["set bind group"] += last is None or any(
                [now[name] != last[name] for name in ("group", "ranges")]
            )
            last = now if merges else None
        elif event.kind in ("copy", "encode"):
            last = None
    return needed
