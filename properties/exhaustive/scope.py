"""One program held against the oracle, on one device or under every schedule of a simulated one."""

from collections.abc import Callable
from dataclasses import replace

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN, Kernels
from gpusim.ops import Op
from gpusim.program import Program
from gpusim.runtime import Driver, Parts, Policy, WgpuDriver
from gpusim.simulated import Scheduler, explore, open_device
from gpusim.trace import Trace
from properties.model.case import REPLAYED, Case, DeviceSpec
from properties.model.failure import Failure
from properties.model.target import Delivery, Target
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import Opened, TargetFactory
from properties.targets.runtime_target import RuntimeTarget

_ALL = Parts()
_SIMULATED = DeviceSpec(name=SIMULATED)
MOST_SCHEDULES = 20_000

MakeDriver = Callable[[object], Driver]


def check_on(
    driver: Driver,
    program: Program,
    policy: Policy,
    *,
    parts: Parts = _ALL,
    kernels: Kernels = BUILTIN,
) -> Failure | None:
    """What a runtime over ``driver`` shows otherwise than the oracle, once."""
    factory = _OverDriver(driver, kernels, parts)
    return judge(
        Case(program=program, policy=policy, device=_SIMULATED), factory, MEANING_ONLY
    ).failure


def check_under_every_schedule(
    program: Program,
    policy: Policy,
    *,
    until: int | None = None,
    parts: Parts = _ALL,
    make_driver: MakeDriver = WgpuDriver,
) -> tuple[int, Failure | None]:
    """The number of schedules that were tried, and the first failure, which notes its schedule.

    From op ``until`` on there is one schedule only, the latest: what a program
    does to look at its buffers need not be multiplied with what it is about.

    Raises:
        ProgramError: there are more than MOST_SCHEDULES.
    """
    case = Case(program=program, policy=policy, device=_SIMULATED)

    def once(scheduler: Scheduler) -> Failure | None:
        bounded = _Bounded(scheduler)
        driver = make_driver(open_device(scheduler=bounded))
        factory = _OverDriver(
            driver, BUILTIN, parts, wrap=lambda target: _Bounding(target, bounded, until)
        )
        return judge(case, factory, MEANING_ONLY).failure

    tried = 0
    for schedule, failure in explore(once, MOST_SCHEDULES):
        tried += 1
        if failure is not None:
            device = replace(_SIMULATED, scheduler=REPLAYED, schedule=schedule)
            return tried, replace(failure, notes=(f"policy: {policy}", f"device: {device}"))
    return tried, None


class _OverDriver(TargetFactory):
    """Runtimes over one driver, untraced since there are many."""

    capabilities = RuntimeTarget.capabilities
    is_ours = True

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        parts: Parts,
        *,
        wrap: Callable[[Target], Target] = lambda target: target,
    ) -> None:
        self.limits, self.kernels = driver.limits, kernels
        self._driver, self._parts, self._wrap = driver, parts, wrap

    def open(self, case: Case) -> Opened:
        """A new runtime."""
        target = RuntimeTarget(self._driver, case.policy, kernels=self.kernels, parts=self._parts)
        return Opened(target=self._wrap(target), trace=Trace())


class _Bounded:
    """Another scheduler, until it is over; then the first option, which is the latest."""

    runs = False

    def __init__(self, scheduler: Scheduler) -> None:
        self.is_over = False
        self._scheduler = scheduler

    def choose(self, options: tuple[str, ...]) -> int:
        return 0 if self.is_over else self._scheduler.choose(options)


class _Bounding:
    """A target that ends the choices of its scheduler after op ``until``, and as it is closed."""

    def __init__(self, target: Target, scheduler: _Bounded, until: int | None) -> None:
        self.capabilities, self.limits = target.capabilities, target.limits
        self._target, self._scheduler, self._until = target, scheduler, until
        self._performed = 0

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        delivery = self._target.perform(op)
        self._performed += 1
        self._scheduler.is_over = self._until is not None and self._performed >= self._until
        return delivery

    def close(self) -> None:
        """See ``Target``."""
        self._scheduler.is_over = True
        self._target.close()
