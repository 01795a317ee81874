"""Every fault of a small program: each call on the device fails once, alone and after a lost batch.

A random plan seldom fails just the call at which a part of the runtime changes its state: the
first submit of a replay, say, or the buffer of a ring that grows.  Here each call of a sketch fails
in turn, and each pair of a failed submit and a later failure.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.devices import SIMULATED
from gpusim.program import Program
from gpusim.simulated import FaultPlan
from properties.generate.sketches import FINE, SKETCHES, policies
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import TargetFactory

_FIELDS = {
    "create_buffer": "out_of_memory",
    "create_bind_group": "failed_bind_groups",
    "compile": "internal_errors",
    "write_buffer": "failed_writes",
    "encode": "failed_encodes",
    "submit": "failed_submits",
    "map": "failed_maps",
}
"""The kinds of the driver's events, with the fields of a plan that make such a call fail."""


def cases(name: str) -> Iterator[Case]:
    """The sketch of that name under each policy, on a device without faults."""
    for policy in policies():
        yield Case(
            program=Program.parse(SKETCHES[name]),
            policy=policy,
            device=DeviceSpec(name=SIMULATED, limits=FINE),
        )


def every_plan(case: Case, factory: TargetFactory) -> Iterator[FaultPlan]:
    """Each plan of one call that fails, and of a submit that fails with one call of any verb."""
    kinds = judge(case, factory, MEANING_ONLY).execution.trace.kinds()
    calls = [(_FIELDS[kind], at) for kind in _FIELDS for at in range(kinds[kind])]
    for field, at in calls:
        yield FaultPlan(**{field: (at,)})  # type: ignore[arg-type]
    for submit in range(kinds["submit"]):
        for field, at in calls:
            if field != "failed_submits":
                yield FaultPlan(failed_submits=(submit,), **{field: (at,)})  # type: ignore[arg-type]
            elif at > submit:
                yield FaultPlan(failed_submits=(submit, at))


def fail_everywhere(case: Case, factory: TargetFactory) -> tuple[int, Failure | None]:
    """How many plans ``case`` was judged under, and the first failure."""
    for number, plan in enumerate(every_plan(case, factory)):
        failing = replace(case, device=replace(case.device, faults=plan))
        failure = judge(failing, factory, MEANING_ONLY).failure
        if failure is not None:
            return number, replace(failure, notes=(*failure.notes, f"the device fails: {plan}"))
    return number + 1, None
