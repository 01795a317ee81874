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

_STORAGE_OPS = {"create_buffer": "alloc", "destroy_buffer": "free", "write_buffer": "write"}
_SYNC_REASONS = {"asked": "flush", "sync": "sync"}
_TELLING = {*_STORAGE_OPS, "copy", "dispatch", "encode", "take"}


def count_seen(trace: Trace, policy: Policy) -> Seen:
    """Count the events of a run under ``policy``, which says what its parts are."""
    parts = {
        "uniforms": f"{policy.uniforms} uniforms",
        "bind_groups": "cached bind groups" if policy.cache_bind_groups else "fresh bind groups",
        "staging": "pooled staging" if policy.staging_buffers else "fresh staging",
    }
    seen: Seen = Counter()
    for kind, count in trace.kinds().items():
        part, dot, what = kind.partition(".")
        if dot:
            seen[parts.get(part, part), what] += count
    for event in trace:
        if event.kind in _TELLING:
            seen[OP, _op_of(event)] += 1
            if event.kind == "encode":
                seen[FLUSH, event["reason"]] += 1
    del seen[OP, ""]
    return seen


def _op_of(event: Event) -> str:
    """The kind of op that an event at the driver shows, empty where it is none's alone."""
    kind = event.kind
    if kind in _STORAGE_OPS:
        return _STORAGE_OPS[kind] if event["role"] == Role.STORAGE.value else ""
    if kind == "copy":
        return "copy" if event["target_role"] == Role.STORAGE.value else ""
    if kind == "encode":
        return _SYNC_REASONS.get(event["reason"], "")
    return {"dispatch": "dispatch", "take": "read"}.get(kind, "")
