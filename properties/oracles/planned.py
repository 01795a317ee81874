"""Compares the plan of faults of a simulated device with what its driver met.

A call for which a fault is planned must fail.  After the call at which a device is lost, no op but
a free is accepted; this is checked only if the device's profile tells of a loss.  Nothing here
looks at values.  ``compile`` leaves no event and is not followed.  The calls of a ``drain`` leave
none either, so the trace is followed only up to the first drain.
"""

from collections.abc import Iterator
from itertools import islice, takewhile

from gpusim.errors import DeviceLost
from gpusim.ops import Free, Op
from gpusim.simulated import PROFILES
from gpusim.trace import Event
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind

FAILING = {
    "failed_submits": "submit",
    "failed_writes": "write_buffer",
    "failed_encodes": "encode",
    "out_of_memory": "create_buffer",
    "failed_bind_groups": "create_bind_group",
}
"""The verb of each fault that is raised at the call; a failed map raises later."""
_LOSING = {
    "lost_at_submit": "submit",
    "lost_at_write": "write_buffer",
    "lost_at_map": "map",
    "lost_at_buffer": "create_buffer",
    "lost_at_bind_group": "create_bind_group",
    "lost_at_encode": "encode",
}
_TOLD_AFTER = ("create_buffer", "create_bind_group")
"""Verbs whose event comes only if the call went well; a failed call has a ``failed`` event."""
_LOST = DeviceLost.__name__


def judge_planned(execution: Execution) -> Failure | None:
    """The failure if a planned fault did not come at its call, or if ops succeed after a loss."""
    device = execution.case.device
    if not device.is_simulated or not len(device.faults) or not execution.is_lawful:
        return None
    events = [*takewhile(_is_followed, execution.trace)]
    if not device.faults.losses:
        return _missed_fault(execution, events)
    return _unheeded_loss(execution, events) if PROFILES[device.profile].tells_loss else None


def _missed_fault(execution: Execution, events: list[Event]) -> Failure | None:
    """The failure if a call went well though a fault was planned for it."""
    for name, verb in FAILING.items():
        planned = getattr(execution.case.device.faults, name)
        shown = [error for error, _ in _calls(events, verb)] if planned else []
        for number in planned:
            if number < len(shown) and not shown[number]:
                return _failure(execution, f"{verb} {number} fails", "it went well")
    return None


def _unheeded_loss(execution: Execution, events: list[Event]) -> Failure | None:
    """The failure if an op is accepted after the op whose call lost the device."""
    for name, verb in _LOSING.items():
        number = getattr(execution.case.device.faults, name)
        if number is None:
            continue
        places = [place for _, place in _calls(events, verb)]
        if number < len(places):
            accepted = _accepted_after(events, places[number])
            if accepted:
                wanted = f"no op after {verb} {number}, which loses the device"
                return _failure(execution, wanted, accepted)
    return None


def _is_followed(event: Event) -> bool:
    is_drain = event.kind == "drain" or (event.kind == "failed" and event["verb"] == "drain")
    return not is_drain and event.kind != "close"


def _calls(events: list[Event], verb: str) -> Iterator[tuple[str, int]]:
    """For each call of ``verb`` on the device: its error or "", and its place in the trace.

    An encode without commands is left out, since a plan of faults does not count it.  Once a device
    was found lost, no call reaches it, so later calls are left out too.
    """
    for at, event in enumerate(events):
        fails = event.kind == "failed" and event["verb"] == verb
        if event.kind == verb and event.about.get("commands") != 0:
            yield "" if verb in _TOLD_AFTER else _error_of_call(events, at), at
        elif fails and verb in _TOLD_AFTER:
            yield str(event["error"]), at
        elif event.kind == "failed" and event["error"] == _LOST:
            return


def _error_of_call(events: list[Event], at: int) -> str:
    """The error that the call at ``at`` raised; empty if it went well.

    The error stands in the next event, but for an encode it comes after the commands of the encode.
    """
    later = islice(events, at + 1, None)
    follows = next((one for one in later if one.kind not in ("dispatch", "copy")), None)
    has_failed = follows is not None and follows.kind == "failed"
    return str(follows["error"]) if has_failed and follows["verb"] == events[at].kind else ""  # type: ignore[index]


def _accepted_after(events: list[Event], place: int) -> str:
    """The first op that was accepted after the op that made the call; empty without such an op."""
    op: Op | None = None
    for event in events[place:]:
        if event.kind == "op":
            op = event["op"]
        elif event.kind == "outcome" and event["error"] is None and not isinstance(op, Free | None):
            return f"{op.verb} is accepted"
    return ""


def _failure(execution: Execution, expected: str, got: str) -> Failure:
    return Failure(
        kind=FailureKind.FAULTS,
        position=len(execution.case.program),
        op="the end of the program",
        reason="a device fails as planned, and a lost one accepts no op",
        sides=(("expected", expected), ("got", got)),
    )
