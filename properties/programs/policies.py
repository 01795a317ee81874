"""Drawing a policy: a preset as it is, with some of its numbers extreme, or with one thing scarce.

A capacity of one and a limit of nought are where batching decisions collide;
what runs out in the middle of a batch does so only where nothing submits it
before.
``debug_dispatch_limit`` is never drawn, since it changes results.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from gpusim.runtime.policy import Policy
from properties.programs.choices import Choices, Weights

_CAPACITIES = (1, 2, 3, 5)
_LIMITS = (None, 0, 1, 2, 3, 7)
_BATCH_BYTES = (None, 0, 16, 256)
_STAGING = (4, 2, 1, 0)
_FIRST_BATCHES = (None, 1, 2, 3, 7)
_STAGED_WRITES = (4096, 0, 8, 64)
_UPLOADS = (1 << 16, 64, 8, 256)
_PAGES = (4096, 64, 16, 512)
_CLASSES = (1 << 20, 0, 64, 512)
_RING_BYTES = (1, 40, 256, 40)
_PLANS = (1, 0, 2, 5)
_GRAPHS = (1, 0, 2, 3)
_BUDGETS = (4096, 1024, 65_536, 256, 0)

_FIELDS: Mapping[str, Callable[[Choices], object]] = {
    "batch_commands": lambda choices: choices.pick(_LIMITS),
    "batch_bytes": lambda choices: choices.pick(_BATCH_BYTES),
    "first_batch": lambda choices: choices.pick(_FIRST_BATCHES),
    "merge_passes": lambda choices: choices.chance(1, 2),
    "flush_on_conflict": lambda choices: choices.chance(1, 2),
    "staged_write_bytes": lambda choices: choices.pick(_STAGED_WRITES),
    "upload_bytes": lambda choices: choices.pick(_UPLOADS),
    "defer_frees": lambda choices: choices.chance(1, 2),
    "join_reads": lambda choices: choices.chance(1, 2),
    "uniform_ring_bytes": lambda choices: choices.pick(_RING_BYTES),
    "plan_cache": lambda choices: choices.pick(_PLANS),
    "graph_cache": lambda choices: choices.pick(_GRAPHS),
    "uniform_slots": lambda choices: choices.pick(_CAPACITIES),
    "uniform_cache": lambda choices: choices.pick(_CAPACITIES),
    "cache_bind_groups": lambda choices: choices.chance(1, 2),
    "bind_group_cache": lambda choices: choices.pick(_CAPACITIES),
    "shape_cache": lambda choices: choices.pick(_CAPACITIES),
    "staging_buffers": lambda choices: choices.pick(_STAGING),
    "staging_page_bytes": lambda choices: choices.pick(_PAGES),
    "staging_class_bytes": lambda choices: choices.pick(_CLASSES),
    "memory_budget_bytes": lambda choices: choices.pick(_BUDGETS),
    "debug_submit_each": lambda choices: True,
}
_OFTEN: Mapping[str, Weights[bool]] = {
    "memory_budget_bytes": Weights((False, 5), (True, 1)),
    "uniform_ring_bytes": Weights((True, 3), (False, 1)),
    "debug_submit_each": Weights((False, 19), (True, 1)),
}
_EVENLY = Weights((False, 1), (True, 1))
_KINDS = Weights(("preset", 3), ("extremes", 3), ("scarce", 2))

_ROOMY: Mapping[str, Any] = {
    "batch_commands": None,
    "batch_bytes": None,
    "first_batch": None,
    "merge_passes": True,
    "flush_on_conflict": True,
    "defer_frees": True,
    "join_reads": True,
    "staged_write_bytes": 4096,
}
"""Nothing submits a batch but what asks for it, or what runs out."""
_SCARCE: Weights[Mapping[str, Sequence[object]]] = Weights(
    ({"uniform_slots": (1, 2, 3), "uniform_ring_bytes": (1, 40)}, 8),
    ({"upload_bytes": (64, 16, 256)}, 3),
    ({"memory_budget_bytes": (1024, 256, 4096)}, 3),
    ({"cache_bind_groups": (True,), "bind_group_cache": (1, 2), "uniform_cache": (1, 2)}, 2),
)


def draw_policy(choices: Choices, preset: Policy) -> Policy:
    """``preset`` itself, with about half of its numbers extreme, or short of one thing."""
    kind = choices.weighted(_KINDS)
    if kind == "preset":
        return preset
    values: dict[str, Any] = {field.name: getattr(preset, field.name) for field in fields(preset)}
    if kind == "scarce":
        values.update(_ROOMY)
        scarce = choices.weighted(_SCARCE)
        values.update({name: choices.pick(amounts) for name, amounts in scarce.items()})
        return Policy(**values)
    for name, draw in _FIELDS.items():
        if choices.weighted(_OFTEN.get(name, _EVENLY)):
            values[name] = draw(choices)
    return Policy(**values)
