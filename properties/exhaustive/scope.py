"""One program held against the oracle, on one device or under every schedule of a simulated one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gpusim.kernels import BUILTIN, Kernel
from gpusim.program import Op, Program
from gpusim.runtime import Driver, Parts, Policy, WgpuDriver
from gpusim.simulated import Scheduler, explore, open_device
from properties.oracles.compare import Mismatch, compare
from properties.runner import run
from properties.targets.runtime_target import RuntimeTarget
from reference import run as run_reference

_ALL = Parts()
MOST_SCHEDULES = 20_000

MakeDriver = Callable[[object], Driver]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A program that shows something else than it means, and under which schedule.

    ``schedule`` holds the choices of a scheduler that leaves RUN out, as
    ``gpusim.simulated.Replaying(schedule, runs=False)`` takes them.
    """

    program: Program
    policy: Policy
    schedule: tuple[int, ...]
    mismatch: Mismatch

    def __str__(self) -> str:
        return f"{self.program}\npolicy {self.policy}, schedule {self.schedule}\n{self.mismatch}"


def check_on(
    driver: Driver,
    program: Program,
    policy: Policy,
    *,
    parts: Parts = _ALL,
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> Mismatch | None:
    """What a runtime over ``driver`` shows otherwise than the oracle, once."""
    limits = replace(driver.limits, memory_budget_bytes=policy.memory_budget_bytes)
    expected = run_reference(program, kernels, limits)
    target = RuntimeTarget(driver, policy, kernels=kernels, parts=parts)
    got = run(program, target)
    target.close()
    return compare(program, expected, got, target.capabilities)


def check_under_every_schedule(
    program: Program,
    policy: Policy,
    *,
    until: int | None = None,
    parts: Parts = _ALL,
    make_driver: MakeDriver = WgpuDriver,
) -> tuple[int, Finding | None]:
    """The number of schedules that were tried, and the first that shows a difference.

    From op ``until`` on there is one schedule only, the latest: what a program
    does to look at its buffers need not be multiplied with what it is about.

    Raises:
        ProgramError: there are more than MOST_SCHEDULES.
    """
    expected = run_reference(program)

    def once(scheduler: Scheduler) -> Mismatch | None:
        bounded = _Bounded(scheduler)
        target = RuntimeTarget(make_driver(open_device(scheduler=bounded)), policy, parts=parts)

        def after_op(position: int, op: Op) -> None:
            bounded.is_over = until is not None and position + 1 >= until

        got = run(program, target, after_op=after_op)
        bounded.is_over = True
        target.close()
        return compare(program, expected, got, target.capabilities)

    tried = 0
    for schedule, mismatch in explore(once, MOST_SCHEDULES):
        tried += 1
        if mismatch is not None:
            return tried, Finding(
                program=program, policy=policy, schedule=schedule, mismatch=mismatch
            )
    return tried, None


class _Bounded:
    """Another scheduler, until it is over; then the first option, which is the latest."""

    runs = False

    def __init__(self, scheduler: Scheduler) -> None:
        self.is_over = False
        self._scheduler = scheduler

    def choose(self, options: tuple[str, ...]) -> int:
        return 0 if self.is_over else self._scheduler.choose(options)
