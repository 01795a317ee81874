"""A few hundred programs on the simulated device, judged as a session judges them.

What is imported of the project is a mutant by then, so that all of it is
imported late.
"""

from collections.abc import Iterator
from typing import Any

SEED = 7
PROGRAMS = 150
FAULTED_PROGRAMS = 80
"""Programs of a device that fails now and then."""


def finds() -> str | None:
    """What is wrong with the first program that fails, or None; the same every time."""
    from gpusim.kernels import BUILTIN
    from properties.oracles.laws import check
    from properties.session.drawn import judge_drawn
    from properties.session.subject import RuntimeSubject

    subject = RuntimeSubject("simulated", BUILTIN)
    for case in _cases(subject):
        failure = judge_drawn(case, subject, BUILTIN, laws=check).failure
        if failure is not None:
            return f"{failure.kind} {failure.trait}".strip()
    return None


def _cases(subject: Any) -> Iterator[Any]:
    from gpusim.kernels import BUILTIN
    from gpusim.runtime import PRESETS
    from properties.session.devices import SCHEDULERS
    from properties.session.drawn import with_drawn
    from properties.session.numbered import numbered_case

    for count, faults in ((PROGRAMS, False), (FAULTED_PROGRAMS, True)):
        for number in range(count):
            case = numbered_case(
                SEED,
                number,
                presets=tuple(PRESETS),
                schedulers=SCHEDULERS,
                device="simulated",
                kernels=BUILTIN,
                limits=subject.limits,
                faults=faults,
            )
            yield with_drawn(case, BUILTIN, refuses=True)
