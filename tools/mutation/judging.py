"""A few hundred programs on the simulated device, judged as a session judges them.

The project is imported late, so that the mutant is in it.
"""

from collections.abc import Iterator
from typing import Any

SEED = 7
PROGRAMS = 150
FAULTED_PROGRAMS = 80
"""Programs of a device that fails now and then."""


def finds() -> str | None:
    """What is wrong with the first program that fails, or None; the same every time."""
    from properties.oracles.judge import judge
    from properties.targets.factory import RuntimeFactory

    factory = RuntimeFactory("simulated")
    for case in _cases(factory):
        failure = judge(case, factory).failure
        if failure is not None:
            return f"{failure.kind} {failure.trait}".strip()
    return None


def _cases(factory: Any) -> Iterator[Any]:
    from gpusim.kernels import BUILTIN
    from properties.fuzz.variants import with_variants
    from properties.generate.cases import CaseSettings, case_for

    for count, faults in ((PROGRAMS, False), (FAULTED_PROGRAMS, True)):
        setting = CaseSettings(
            device="simulated",
            limits=factory.limits,
            faults=faults,
            promises=factory.capabilities,
        )
        for number in range(count):
            yield with_variants(case_for(SEED, number, setting), BUILTIN, refuses=True)
