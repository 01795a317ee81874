"""What a session judges: it opens a target for each program, and a trace of what that does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.runtime import Driver, Parts, driver_for
from gpusim.runtime.drivers.traced import TracedDriver, traced_parts
from gpusim.trace import Trace
from properties.case import Case
from properties.session.devices import (
    is_simulated,
    open_case_device,
    parse_simulated,
    restart_case_device,
)
from properties.session.limits import asked_limits, limits_of, small_limits, words_of
from properties.target import Capabilities, Target
from properties.targets.naive_target import NaiveTarget
from properties.targets.runtime_target import RuntimeTarget

_ALL = Parts()


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A target for one program, and a trace of what it does."""

    target: Target
    trace: Trace
    traced: bool = False
    """Whether the trace holds all that reached the driver, so that laws can be held against it."""


class Subject(Protocol):
    """Makes a target for each program of a session."""

    limits: Limits
    capabilities: Capabilities
    """What its targets promise; programs hold nothing else."""
    small: tuple[str, ...]
    """Small limits that its device is asked for, as ``small_limits`` gives them."""
    description: str
    """What it runs on, where that is not the device of the session."""
    is_ours: bool
    """Whether its targets are our runtime: others know neither our policies nor our callers."""

    def open(self, case: Case) -> Opened:
        """A new target, that shares at most the device with the one before."""
        ...


class Around:
    """A subject whose targets stand around those of another, of which it says all the rest."""

    def __init__(self, subject: Subject) -> None:
        self.limits, self.small = subject.limits, subject.small
        self.capabilities = subject.capabilities
        self.description, self.is_ours = subject.description, subject.is_ours
        self._subject = subject


class RuntimeSubject:
    """Our runtime on one device, whose driver compiles each kernel once for all programs.

    A simulated device begins anew with each program, so that its schedule
    starts with it.  One that is to fail at a call by its number is a new one, as
    compiling is a call too; and each is, with a driver of its own, where
    ``make_driver`` is given, since that driver may count.
    """

    capabilities = RuntimeTarget.capabilities
    description = ""
    is_ours = True

    def __init__(
        self,
        device: str,
        kernels: Mapping[str, Kernel],
        *,
        parts: Parts = _ALL,
        make_driver: Callable[[Any], Driver] | None = None,
    ) -> None:
        self._kernels = kernels
        self._parts = parts
        self._make_driver = make_driver or driver_for
        self._begins_anew = make_driver is None
        native = open_case_device(device, kernels)
        self.limits = limits_of(native)
        self.small = small_limits(self.limits, simulated=is_simulated(device))
        self._driver: Driver = self._make_driver(native)
        self._simulated: dict[str, tuple[Any, Driver]] = {}
        """Simulated devices that may begin anew, with their drivers, by what they hold."""

    def open(self, case: Case) -> Opened:
        """A new runtime, traced."""
        trace = Trace()
        driver = self._driver_of(case.device)
        limits = driver.limits
        if not is_simulated(case.device):
            limits = replace(limits, **asked_limits(case.device))
        target = RuntimeTarget(
            TracedDriver(driver, trace, limits=limits),
            case.policy,
            kernels=self._kernels,
            parts=traced_parts(self._parts, trace),
        )
        return Opened(target=target, trace=trace, traced=True)

    def _driver_of(self, device: str) -> Driver:
        if not is_simulated(device):
            return self._driver
        behaviour = parse_simulated(device)
        holds = words_of(behaviour.limits)
        opened, driver = self._simulated.get(holds, (None, None))
        if driver is not None and not driver.lost and not len(behaviour.faults):
            restart_case_device(opened, device)
            return driver
        opened = open_case_device(device, self._kernels)
        driver = self._make_driver(opened)
        if self._begins_anew and not len(behaviour.faults):
            self._simulated[holds] = opened, driver
        return driver


class NaiveSubject:
    """A target that does every op at once, on one device and without a driver of ours."""

    small: tuple[str, ...] = ()
    description = ""
    is_ours = False

    def __init__(
        self,
        device: str,
        kernels: Mapping[str, Kernel],
        *,
        make_target: Callable[..., Target] = NaiveTarget,
    ) -> None:
        self._kernels = kernels
        self._make_target = make_target
        self._device = open_case_device(device, kernels)
        first = make_target(self._device, kernels)
        self.limits, self.capabilities = first.limits, first.capabilities

    def open(self, case: Case) -> Opened:
        """A new target; nothing of it can be traced."""
        return Opened(target=self._make_target(self._device, self._kernels), trace=Trace())
