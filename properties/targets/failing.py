"""Translates a plan of faults, which simulated devices follow, for a driver around a real device.

Both count the calls of each verb.  A driver has other verbs than a device, so the same number may
mean another call.  Nothing here fails; ``gpusim.runtime.drivers.faulty`` does.
"""

from collections.abc import Mapping

from gpusim.errors import DeviceFault, DeviceLost, MapFailed, OutOfMemory, SubmitFailed
from gpusim.runtime.drivers.faulty import Fault
from gpusim.simulated import FaultPlan

_FAULTS: Mapping[str, tuple[str, type[DeviceFault]]] = {
    "failed_maps": ("take", MapFailed),
    "refused_maps": ("map", MapFailed),
    "out_of_memory": ("create_buffer", OutOfMemory),
    "internal_errors": ("compile", DeviceFault),
    "failed_submits": ("submit", SubmitFailed),
    "failed_writes": ("write_buffer", SubmitFailed),
    "failed_bind_groups": ("create_bind_group", OutOfMemory),
    "failed_encodes": ("encode", SubmitFailed),
    "lost_at_submit": ("submit", DeviceLost),
    "lost_at_write": ("write_buffer", DeviceLost),
    "lost_at_map": ("map", DeviceLost),
    "lost_at_unmap": ("take", DeviceLost),
    "lost_at_buffer": ("create_buffer", DeviceLost),
    "lost_at_destroy": ("destroy_buffer", DeviceLost),
    "lost_at_bind_group": ("create_bind_group", DeviceLost),
    "lost_at_pipeline": ("compile", DeviceLost),
    "lost_at_encode": ("encode", DeviceLost),
}
"""For each field of a plan, how a driver around a real device fails."""


def faults_of(plan: FaultPlan) -> list[Fault]:
    """The faults of a driver that follows ``plan``."""
    if not len(plan):
        return []
    return [
        Fault(verb=verb, call=number, error=error)
        for name, (verb, error) in _FAULTS.items()
        for number in _numbers(getattr(plan, name))
    ]


def _numbers(planned: tuple[int, ...] | int | None) -> tuple[int, ...]:
    if planned is None:
        return ()
    return (planned,) if isinstance(planned, int) else planned
