"""Every preset with all that it pools and caches cut down to one or two."""

from collections.abc import Sequence
from dataclasses import replace

from gpusim.limits import Limits
from gpusim.runtime.policy import PRESETS, Policy

CAPACITIES = (1, 2)


def small_policies(
    capacities: Sequence[int] = CAPACITIES, limits: Limits | None = None
) -> list[Policy]:
    """Each preset with each capacity: a pool or cache of one collides at its second use."""
    slot_bytes = (limits or Limits()).uniform_offset_alignment_bytes
    return [
        _with_capacity(preset, capacity, slot_bytes)
        for preset in PRESETS.values()
        for capacity in capacities
    ]


def _with_capacity(preset: Policy, capacity: int, slot_bytes: int) -> Policy:
    return replace(
        preset,
        uniform_slots=capacity,
        uniform_cache=capacity,
        uniform_ring_bytes=capacity * slot_bytes,
        bind_group_cache=capacity,
        shape_cache=capacity,
        plan_cache=min(preset.plan_cache, capacity),
        staging_buffers=min(preset.staging_buffers, capacity),
    )
