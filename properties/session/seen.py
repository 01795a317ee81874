"""What a trace holds, as counts: how ops reached the driver, why it was given batches,
and what its pools and caches did on the way.
"""

from collections import Counter

from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy
from gpusim.trace import Event, Trace

OP, FLUSH = "op", "flush"
Seen = Counter[tuple[str, str]]
"""How often: ``(OP, kind)``, ``(FLUSH, reason)``, or a part and what happened in it."""

_DETAILS = {
    "create_buffer": "role",
    "destroy_buffer": "role",
    "write_buffer": "role",
    "copy": "target_role",
    "encode": "reason",
}
_OPS = {
    ("create_buffer", Role.STORAGE): "alloc",
    ("destroy_buffer", Role.STORAGE): "free",
    ("write_buffer", Role.STORAGE): "write",
    ("copy", Role.STORAGE): "copy",
    ("dispatch", ""): "dispatch",
    ("take", ""): "read",
    ("encode", "asked"): "flush",
    ("encode", "sync"): "sync",
}
"""The kinds of op that events at the driver show; other events are no op's alone."""


def count_seen(trace: Trace, policy: Policy) -> Seen:
    """Count the events of a run under ``policy``, which says what its parts are."""
    parts = {
        "uniforms": f"{policy.uniforms} uniforms",
        "bind_groups": "cached bind groups" if policy.cache_bind_groups else "fresh bind groups",
        "staging": "pooled staging" if policy.staging_buffers else "fresh staging",
    }
    seen: Seen = Counter()
    for (kind, detail), count in Counter(map(_trait, trace)).items():
        part, dot, what = kind.partition(".")
        if dot:
            seen[parts.get(part, part), what] += count
        if kind == "encode":
            seen[FLUSH, detail] += count
        if (kind, detail) in _OPS:
            seen[OP, _OPS[kind, detail]] += count
    return seen


def _trait(event: Event) -> tuple[str, str]:
    """The kind of an event, and what of it tells which kind of op it shows."""
    kind = event.kind
    return kind, event.about[_DETAILS[kind]] if kind in _DETAILS else ""
