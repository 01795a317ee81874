"""Simpler devices for a case: fewer faults, earlier faults, no small limits, the first scheduler.

A fault is planned for the n-th call of a verb.  If ops before that call are deleted, n must fall by
the number of their calls.  The runtime decides how many calls an op makes, so likely numbers are
tried.  Every function is pure, and gives only simpler devices.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from gpusim.errors import ProgramError
from gpusim.simulated import NO_FAULTS, SPEC, FaultPlan
from properties.model.case import SCHEDULERS, DeviceSpec
from properties.model.disturbance import Disturbance

_CALLS_AN_OP: Mapping[str, int] = {
    "failed_maps": 1,
    "refused_maps": 1,
    "out_of_memory": 4,
    "internal_errors": 1,
    "failed_submits": 2,
    "failed_writes": 3,
    "failed_bind_groups": 2,
    "failed_encodes": 2,
    "lost_at_submit": 2,
    "lost_at_write": 3,
    "lost_at_map": 1,
    "lost_at_unmap": 1,
    "lost_at_buffer": 4,
    "lost_at_destroy": 2,
    "lost_at_bind_group": 2,
    "lost_at_pipeline": 1,
    "lost_at_encode": 2,
}
"""For each kind of fault: one op usually makes at most so many calls that this fault can hit.  A
read, for instance, maps once."""
_ALIGNMENT, _NARROW = "storage_offset_alignment_bytes", "max_binding_bytes"
MOST_SEEDS = 6
"""How many small seeds are tried.  Among them are seeds with which the layer settles the last map
first, the first map first, and maps in any order."""
_MOST_SHIFTS = 16
"""The most earlier calls that are tried for one fault, since each try is an execution."""


def simpler_devices(device: DeviceSpec) -> Iterator[DeviceSpec]:
    """The device with fewer or earlier faults, fewer limits, or a simpler profile or scheduler."""
    yield from _with_plans(device, _fewer_faults(device.faults))
    yield from _fewer_limits(device)
    if device.profile != SPEC.name:
        yield replace(device, profile=SPEC.name)
    yield from _simpler_schedulers(device)
    yield from _with_plans(device, _sooner_faults(device.faults))


def simpler_disturbances(disturbance: Disturbance) -> Iterator[Disturbance]:
    """The disturbance with fewer or earlier faults, or with a smaller seed."""
    plan = disturbance.faults
    for simpler in (*_fewer_faults(plan), *_sooner_faults(plan)):
        yield replace(disturbance, faults=simpler)
    for seed in range(min(disturbance.seed, MOST_SEEDS)):
        yield replace(disturbance, seed=seed)


def with_earlier_faults(device: DeviceSpec, ops: int) -> Iterator[DeviceSpec]:
    """The device with one fault moved to an earlier call.

    The fault moves by at least one call, and at most by all calls that ``ops`` deleted ops may have
    made.
    """
    plan = device.faults
    for name, at, number in _numbers(plan):
        most = min(number, _CALLS_AN_OP[name] * ops)
        for calls in range(1, most + 1, -(-most // _MOST_SHIFTS) or 1):
            yield from _with_plans(device, _with_number(plan, name, at, number - calls))


def _with_plans(device: DeviceSpec, plans: Iterable[FaultPlan]) -> Iterator[DeviceSpec]:
    return (replace(device, faults=plan) for plan in plans)


def _fewer_faults(plan: FaultPlan) -> Iterator[FaultPlan]:
    """No faults, then the plan without those of one kind, then without single ones."""
    if not len(plan):
        return
    yield NO_FAULTS
    for name in dict.fromkeys(name for name, _, _ in _numbers(plan)):
        none = None if isinstance(getattr(plan, name), int) else ()
        yield from _with_faults(plan, name, none)
    for name, at, _ in _numbers(plan):
        numbers = getattr(plan, name)
        if not isinstance(numbers, int):
            yield from _with_faults(plan, name, (*numbers[:at], *numbers[at + 1 :]))


def _sooner_faults(plan: FaultPlan) -> Iterator[FaultPlan]:
    """The plan with one fault at a lower number.

    For a fault at ``number``, the lower numbers are 0, 1 and 2, then ``number`` less a half of it,
    less a quarter of it and so on, and ``number`` less 1.
    """
    for name, at, number in _numbers(plan):
        halves = [number - (number >> shift) for shift in range(1, number.bit_length())]
        for lower in dict.fromkeys((0, 1, 2, *halves, number - 1)):
            if 0 <= lower < number:
                yield from _with_number(plan, name, at, lower)


def _fewer_limits(device: DeviceSpec) -> Iterator[DeviceSpec]:
    """The device with its own limits, then with one small limit less."""
    if device.limits:
        yield replace(device, limits=())
    for name, _ in device.limits:
        # Without the fine alignment, narrow bindings are dropped as well: no device's largest
        # binding is smaller than its alignment.
        gone = {name, _NARROW} if name == _ALIGNMENT else {name}
        yield replace(device, limits=tuple(each for each in device.limits if each[0] not in gone))


def _simpler_schedulers(device: DeviceSpec) -> Iterator[DeviceSpec]:
    """The device with an earlier scheduler, a smaller seed, or a shorter schedule."""
    plain = replace(device, seed=0, schedule=())
    for scheduler in SCHEDULERS:
        if scheduler == device.scheduler:
            break
        yield replace(plain, scheduler=scheduler)
    for seed in (0, 1, 2, 3):
        if seed < device.seed:
            yield replace(device, seed=seed)
    for kept in (len(device.schedule) // 2, len(device.schedule) - 1):
        if 0 <= kept < len(device.schedule):
            yield replace(device, schedule=device.schedule[:kept])


def _numbers(plan: FaultPlan) -> Iterator[tuple[str, int, int]]:
    """Every number of a plan: its kind, its index in that kind, and the number."""
    for field in fields(plan):
        value = getattr(plan, field.name)
        numbers = (value,) if isinstance(value, int) else value or ()
        for at, number in enumerate(numbers):
            yield field.name, at, number


def _with_number(plan: FaultPlan, name: str, at: int, number: int) -> Iterator[FaultPlan]:
    """The plan with one fault at another number, unless its kind has that number already."""
    numbers = getattr(plan, name)
    if isinstance(numbers, int):
        yield from _with_faults(plan, name, number)
    elif number not in numbers:
        changed = (*numbers[:at], number, *numbers[at + 1 :])
        yield from _with_faults(plan, name, tuple(sorted(changed)))


def _with_faults(plan: FaultPlan, name: str, value: Any) -> Iterator[FaultPlan]:
    """The plan with other faults of one kind; nothing if too many calls in a row would fail."""
    with suppress(ProgramError):
        yield replace(plan, **{name: value})
