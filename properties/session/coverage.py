"""What a session should have met, beside how often it did.

The rows are known beforehand, so that what never happened shows as nought.
"""

from collections.abc import Mapping
from typing import Any

from gpusim.program import OPS
from gpusim.runtime.flush_rules import FlushReason
from properties.session.tally import Tally

Table = Mapping[str, Mapping[str, int]]

_REFUSALS: Mapping[str, tuple[str, ...]] = {
    "alloc": ("OutOfRange", "LimitExceeded", "OutOfMemory"),
    "write": ("InvalidHandle", "OutOfRange"),
    "read": ("InvalidHandle", "OutOfRange"),
    "copy": ("InvalidHandle", "OutOfRange"),
    "dispatch": ("InvalidBinding", "LimitExceeded", "InvalidHandle", "InvalidScalar"),
    "free": ("InvalidHandle",),
}
_PARTS: Mapping[str, tuple[str, ...]] = {
    "uniform pool": ("created", "reused", "evicted", "exhausted"),
    "uniform cache": ("created", "reused", "evicted"),
    "bind-group cache": ("created", "reused", "evicted", "invalidated"),
    "shape cache": ("created", "reused", "evicted"),
    "staging pool": ("created", "reused", "evicted", "exhausted"),
}
"""What can happen in a pool or cache; the others have no such event."""
_NEVER_A_FLUSH = (FlushReason.CLOSE,)
"""A session ends every program with a sync, so that close has nothing to submit."""


def coverage(tally: Tally) -> dict[str, dict[str, dict[str, int]]]:
    """Tables of ops, refusals, flushes and parts, every row and column that can be met."""
    seen = tally.seen
    return {
        "ops": {
            kind: {"accepted": tally.accepted[kind], "driver": seen[f"op {kind}"]}
            for kind in _kinds()
        },
        "refusals": _with_others(
            {op: {name: tally.refused[op, name] for name in _REFUSALS[op]} for op in _REFUSALS},
            tally,
        ),
        "flushes": {
            reason: {"submits": seen[f"flush {reason}"]}
            for reason in FlushReason
            if reason not in _NEVER_A_FLUSH
        },
        "parts": {
            part: {event: seen[f"{part} {event}"] for event in events}
            for part, events in _PARTS.items()
        },
    }


def missed(tables: Mapping[str, Any]) -> list[str]:
    """What was never met, in words."""
    return [
        f"{row} {column}"
        for table in tables.values()
        for row, columns in table.items()
        for column, count in columns.items()
        if not count
    ]


def _kinds() -> list[str]:
    return [op.__name__.lower() for op in OPS]


def _with_others(expected: dict[str, dict[str, int]], tally: Tally) -> dict[str, dict[str, int]]:
    """The refusals that were expected, and then any other that was met."""
    for op, name in sorted(tally.refused):
        expected.setdefault(op, {}).setdefault(name, tally.refused[op, name])
    return expected
