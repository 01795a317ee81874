"""What a trace holds, as counts: how ops reached the driver, why it was given batches,
and what its pools and caches did on the way.
"""

from collections import Counter

from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.trace import Event, Trace

_UNIFORMS = {
    Uniforms.FRESH: "fresh uniforms",
    Uniforms.POOLED: "uniform pool",
    Uniforms.CACHED: "uniform cache",
}
_STORAGE_OPS = {"create_buffer": "alloc", "destroy_buffer": "free", "write_buffer": "write"}
_SYNC_REASONS = {"asked": "flush", "sync": "sync"}


def count_seen(trace: Trace, policy: Policy) -> Counter[str]:
    """How often what happened: ``op <kind>``, ``flush <reason>``, ``<part> <event>``."""
    parts = {
        "uniforms": _UNIFORMS[policy.uniforms],
        "bind_groups": "bind-group cache" if policy.cache_bind_groups else "fresh bind groups",
        "shapes": "shape cache",
        "staging": "staging pool" if policy.staging_buffers else "fresh staging",
    }
    counts: Counter[str] = Counter()
    for event in trace:
        part, dot, what = event.kind.partition(".")
        if dot:
            counts[f"{parts[part]} {what}"] += 1
        elif event.kind == "encode":
            counts[f"flush {event['reason']}"] += 1
        if op := _op_of(event):
            counts[f"op {op}"] += 1
    return counts


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
