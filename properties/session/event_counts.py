"""What a trace holds, as counts: how ops reached the driver, why it was given batches,
and what its pools and caches did on the way.
"""

from collections import Counter
from collections.abc import Mapping

from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy
from gpusim.trace import Trace

OP, FLUSH = "op", "flush"
EventCounts = Counter[tuple[str, str]]
"""How often: ``(OP, kind)``, ``(FLUSH, reason)``, or a part and what happened in it."""

_DETAILS: Mapping[str, str] = {
    "create_buffer": "role",
    "destroy_buffer": "role",
    "write_buffer": "role",
    "copy": "target_role",
    "encode": "reason",
}
"""What of an event tells, beside its kind, which kind of op it shows."""
_OPS = {"dispatch": "dispatch", "take": "read"}
_DETAILED_OPS = {
    ("create_buffer", Role.STORAGE): "alloc",
    ("destroy_buffer", Role.STORAGE): "free",
    ("write_buffer", Role.STORAGE): "write",
    ("copy", Role.STORAGE): "copy",
    ("encode", "asked"): "flush",
    ("encode", "sync"): "sync",
}
"""The kinds of op that events at the driver show; other events are no op's alone."""


def count_events(trace: Trace, policy: Policy) -> EventCounts:
    """Count the events of a run under ``policy``, which says what its parts are."""
    parts = {
        "uniforms": f"{policy.uniforms} uniforms",
        "bind_groups": "cached bind groups" if policy.cache_bind_groups else "fresh bind groups",
        "staging": "pooled staging" if policy.staging_buffers else "fresh staging",
    }
    counts: EventCounts = Counter()
    for kind, count in trace.kinds().items():
        part, dot, what = kind.partition(".")
        if dot:
            counts[parts.get(part, part), what] += count
        elif kind in _OPS:
            counts[OP, _OPS[kind]] += count
    details = Counter(
        [
            (event.kind, event.about[_DETAILS[event.kind]])
            for event in trace.events
            if event.kind in _DETAILS
        ]
    )
    for (kind, detail), count in details.items():
        if kind == "encode":
            counts[FLUSH, detail] += count
        if (kind, detail) in _DETAILED_OPS:
            counts[OP, _DETAILED_OPS[kind, detail]] += count
    return counts
