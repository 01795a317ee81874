"""Target factories: they open a target for each program, and trace it where they can.

One factory makes targets of our runtime, another of users' adapters.  The device of a case is
opened here, with its small limits and, if it is simulated, its profile, scheduler and faults.  A
simulated device enforces the small limits itself.  A real one does not: there the traced driver
tells the runtime the small limits, and the laws check that the runtime keeps them.  The laws take
all limits from the device of the case, since a driver under judgement might misreport them.
Nothing here runs a program.
"""

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from zlib import crc32

from gpusim.devices import open_device
from gpusim.kernels import BUILTIN, OFFERED, Kernels
from gpusim.layer import Adversary, Held, Memory, Report, stand_between
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Op
from gpusim.runtime import Driver, Parts, Policy, Runtime, Stats, WgpuDriver, driver_for
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.drivers.faulty import FaultyDriver
from gpusim.runtime.drivers.traced import TracedDriver
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.traced_parts import traced_parts
from gpusim.simulated import NO_FAULTS, Replaying, Scheduler, strategy
from gpusim.simulated import open_device as open_simulated
from gpusim.trace import Trace
from gpusim.wgsl.checks.report import Ledger
from properties.model.capabilities import Capabilities
from properties.model.case import (
    REPLAYED,
    AskedLimits,
    Case,
    DeviceSpec,
    parse_device,
    small_limits,
)
from properties.model.disturbance import Disturbance
from properties.model.execution import Choice
from properties.model.target import Delivery, Target
from properties.targets.adapters import as_target, first_target
from properties.targets.failing import faults_of
from properties.targets.layer import judging_sanitizer
from properties.targets.naive_target import NaiveTarget
from properties.targets.noting import Noting
from properties.targets.runtime_target import RuntimeTarget

_ALL = Parts()
_NATIVE_NAMES = {
    "max_buffer_bytes": "max-buffer-size",
    "max_binding_bytes": "max-storage-buffer-binding-size",
    "max_groups_per_dimension": "max-compute-workgroups-per-dimension",
    "max_storage_buffers": "max-storage-buffers-per-shader-stage",
    "storage_offset_alignment_bytes": "min-storage-buffer-offset-alignment",
    "uniform_offset_alignment_bytes": "min-uniform-buffer-offset-alignment",
}
"""For each of our limits of a device: its name in wgpu-py."""
_WHOLE_WORDS = ("max_buffer_bytes", "max_binding_bytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A target for one program, its trace, and what the layer's rules say of its calls."""

    target: Target
    trace: Trace
    is_traced: bool = False
    """Whether the trace has all calls on the driver, so that the laws can be checked."""
    reports: Sequence[Report] = ()
    """Grows with the calls of the target, if a layer sees them."""
    shaders: Ledger | None = None
    """Has the mistakes in shaders, if the device looks for them."""
    stats: Callable[[], Stats] | None = None
    """Gives the counters of our runtime."""
    choices: Sequence[Choice] = ()
    """Grows with the choices of a schedule that is replayed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counting:
    """A factory that has a device of its own, so that the memory of its targets can be counted."""

    factory: "TargetFactory"
    memory: Memory
    collect: Callable[[], object] = gc.collect
    """Makes the garbage collector free what the targets have dropped."""

    def held(self) -> Held:
        """How much memory its targets hold now, after garbage is collected."""
        self.collect()
        return self.memory.held()


class TargetFactory(ABC):
    """Makes a target for each program of a session."""

    limits: Limits
    """The limits of its device."""
    capabilities: Capabilities
    """What its targets promise; programs ask for no more."""
    kernels: Kernels
    small: tuple[AskedLimits, ...] = ()
    """The small limits that a case may ask of its device."""
    description: str = ""
    """What its targets run on, in words; empty if that is the adapter of the session's device."""
    is_ours: bool = False
    """Whether its targets are our runtime; others have neither our policies nor our clients."""
    disturbs: bool = False
    """Whether its targets can be disturbed if a case asks for it."""
    make_trace: Callable[[], Trace] = Trace
    """Makes the trace of each target; a trace may publish its events."""

    @abstractmethod
    def open(self, case: Case) -> Opened:
        """A new target; it shares at most the device with earlier ones."""

    def counting(self) -> Counting | None:
        """The same targets on a device whose memory is counted; None if it cannot be counted."""
        return None

    def untraced(self, case: Case) -> Target | None:
        """A new target of our runtime, to count what it costs; None for other targets."""
        return None

    def close(self) -> None:  # noqa: B027 - most share nothing but a device
        """Release what its targets share."""


class Wrapping(TargetFactory):
    """Delegates to another factory and wraps each target."""

    def __init__(self, factory: TargetFactory, wrap: Callable[[Target], Target]) -> None:
        self.limits, self.capabilities = factory.limits, factory.capabilities
        self.kernels, self.small = factory.kernels, factory.small
        self.description, self.is_ours = factory.description, factory.is_ours
        self.disturbs, self._factory, self._wrap = factory.disturbs, factory, wrap

    def open(self, case: Case) -> Opened:
        """A wrapped target; its trace may have more calls than the program asked for."""
        opened = self._factory.open(case)
        return Opened(target=self._wrap(opened.target), trace=opened.trace)


class RuntimeFactory(TargetFactory):
    """Our runtime on one device, whose driver compiles each kernel once for all programs.

    A simulated device is reset for each program, so that its schedule starts with the program.  A
    new one is made instead if faults are planned (a kept driver never repeats a compilation, which
    may be planned to fail), if buffers are not numbered from 1, or if ``make_driver`` is given (its
    driver may count calls).  A real device is kept, and a driver around it fails as planned.
    """

    capabilities = RuntimeTarget.capabilities
    is_ours = True

    def __init__(
        self,
        device: str,
        kernels: Kernels = BUILTIN,
        *,
        parts: Parts = _ALL,
        make_driver: Callable[[Any], Driver] | None = None,
        make_runtime: Callable[..., Runtime] = Runtime,
    ) -> None:
        self.kernels = kernels
        self._parts = parts
        self._make_runtime = make_runtime
        self._make_driver = make_driver or driver_for
        self._may_reset = make_driver is None
        spec = parse_device(device)
        # Special floats are promised only on a simulated device, which keeps every bit, and only
        # with kernels of gpusim, since WGSL leaves open what a user's kernel makes of NaN.
        keeps = spec.is_simulated and all(name in OFFERED for name in kernels)
        self.capabilities = replace(self.capabilities, special_floats=keeps)
        native = open_case_device(spec)
        self.limits = limits_of(native)
        self.small = small_limits(self.limits, simulated=spec.is_simulated)
        self._driver: Driver = self._make_driver(native)
        self._checks = Ledger()
        self._simulated: dict[tuple[object, ...], tuple[Any, Driver]] = {}
        """Simulated devices that can be reset, each with its driver.  The key has all in which
        they differ: the profile, the limits and whether shaders are checked."""

    def open(self, case: Case) -> Opened:
        """A new runtime, traced."""
        trace = self.make_trace()
        first = first_number(case.seed)
        scheduler = Noting(scheduler_of(case.device), trace) if case.device.is_replayed else None
        driver = self._driver_of(case.device, first, scheduler)
        limits = driver.limits
        if not case.device.is_simulated:
            limits = case.device.held(limits)
        traced = TracedDriver(driver, trace, limits=limits)
        parts = counting_from(first, traced_parts(self._parts, trace))
        target = self._target(traced, case.policy, parts)
        self._checks.clear()
        return Opened(
            target=target,
            trace=trace,
            is_traced=True,
            shaders=self._checks if case.device.checks_shaders else None,
            stats=target.runtime.stats,
            choices=scheduler.choices if scheduler is not None else (),
        )

    def untraced(self, case: Case) -> Target:
        """See ``TargetFactory``; the small limits of ``case`` do not hold on a real device."""
        return self._target(self._driver_of(case.device, 1), case.policy, self._parts)

    def _target(self, driver: Driver, policy: Policy, parts: Parts) -> RuntimeTarget:
        return RuntimeTarget(
            driver,
            policy,
            kernels=self.kernels,
            parts=parts,
            make_runtime=self._make_runtime,
            make_driver=self._make_driver,
        )

    def _driver_of(
        self, device: DeviceSpec, first: int, scheduler: Scheduler | None = None
    ) -> Driver:
        if not device.is_simulated:
            planned = faults_of(device.faults)
            return FaultyDriver(self._driver, *planned) if planned else self._driver
        key = device.profile, device.limits, device.checks_shaders
        kept = self._simulated.get(key)
        is_shared = first == 1 and not len(device.faults)
        if kept is not None and not kept[1].lost and is_shared:
            opened, driver = kept
            opened.restart(scheduler or scheduler_of(device))
            return driver
        opened = open_case_device(device, scheduler, self._checks)
        driver = self._make_driver(opened)
        if first > 1 and isinstance(driver, WgpuDriver):
            driver.uids = count(first)
        if self._may_reset and is_shared:
            self._simulated[key] = opened, driver
        return driver


STARTS = (2**8 - 3, 2**16 - 3, 2**32 - 3, *[1] * 29)
"""Where the numbers of a runtime begin; mostly at one."""


def first_number(seed: str) -> int:
    """The number, mostly 1, from which a runtime counts its buffers, and its writes and submits."""
    return STARTS[crc32(seed.encode()) % len(STARTS)] if seed else 1


def counting_from(first: int, parts: Parts) -> Parts:
    """``parts`` whose clock and table of buffers count from ``first`` on."""
    if first == 1:
        return parts

    def clock() -> QueueClock:
        made = parts.clock()
        made.count_from(first)
        return made

    def buffers() -> BufferTable:
        made = parts.buffers()
        made.count_from(first)
        return made

    return replace(parts, clock=clock, buffers=buffers)


MakeTarget = Callable[[Any, Kernels], Any]
"""Makes a target, given an opened device and the kernels."""


class AdapterFactory(TargetFactory):
    """Untraced targets that ``make_target`` makes on one opened device.

    The first disturbed case on a device puts a layer around the device.  The layer stays; it checks
    the calls of disturbed cases, and refuses submits at which wgpu-native would abort.
    """

    disturbs = True

    def __init__(
        self, device: str, kernels: Kernels = BUILTIN, *, make_target: MakeTarget = NaiveTarget
    ) -> None:
        self.kernels = kernels
        self._make_target = make_target
        self._spec = parse_device(device)
        self._device = open_case_device(self._spec)
        self._adversary: Adversary | None = None
        self._sanitizer = judging_sanitizer()
        self._counting: Counting | None = None
        first = first_target(make_target, self._device, kernels)
        self.limits, self.capabilities = first.limits, first.capabilities

    def open(self, case: Case) -> Opened:
        """A new target, untraced; if it cannot be made, each of its ops raises the reason."""
        self._disturb(case.disturbance)
        target: Target
        try:
            target = as_target(self._make_target(self._device, self.kernels))
        except Exception as error:
            target = _Unmade(error, self.capabilities, self.limits)
        reports = () if case.disturbance is None else self._sanitizer.reports
        return Opened(target=target, trace=self.make_trace(), reports=reports)

    def counting(self) -> Counting | None:
        """The same targets on a second device, opened when it is first asked for."""
        if self._counting is None:
            factory = AdapterFactory(str(self._spec), self.kernels, make_target=self._make_target)
            memory = Memory()
            stand_between(factory._device, memory.watch)
            self._counting = Counting(factory=factory, memory=memory)
        return self._counting

    def _disturb(self, disturbance: Disturbance | None) -> None:
        if self._adversary is not None and self._adversary.has_lost_device:
            self._device, self._adversary = open_case_device(self._spec), None
        if self._adversary is None:
            if disturbance is None:
                return
            self._adversary = Adversary()
            self._sanitizer.watch(self._device, self._adversary.disturb)
        faults = NO_FAULTS if disturbance is None else disturbance.faults
        self._adversary.begin(
            None if disturbance is None else disturbance.seed,
            failed_maps=faults.failed_maps,
            out_of_memory=faults.out_of_memory,
            lost_at_submit=faults.lost_at_submit,
        )
        self._sanitizer.begin()


class _Unmade:
    """Stands for a target whose maker raised ``error``."""

    def __init__(self, error: Exception, capabilities: Capabilities, limits: Limits) -> None:
        self.capabilities, self.limits = capabilities, limits
        self._error = error

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        raise self._error

    def close(self) -> None:
        """Nothing to close."""


def limits_of(device: Any) -> Limits:
    """The limits of a wgpu-py device."""
    values = {name: int(device.limits[native]) for name, native in _NATIVE_NAMES.items()}
    for name in _WHOLE_WORDS:
        values[name] -= values[name] % WORD_BYTES
    return Limits(**values)


def open_case_device(
    device: DeviceSpec, scheduler: Scheduler | None = None, checks: Ledger | None = None
) -> Any:
    """A device with the interface of a wgpu-py device.

    Only a simulated device has a ``scheduler``; ``checks`` takes the mistakes in its shaders.

    Raises:
        NoDevice: there is no such adapter, or it gives no such device.
    """
    if not device.is_simulated:
        return open_device(device.name)
    return open_simulated(
        profile=device.profile,
        scheduler=scheduler or scheduler_of(device),
        faults=device.faults,
        limits={_NATIVE_NAMES[name]: value for name, value in device.limits},
        checks=checks if device.checks_shaders else None,
    )


def scheduler_of(device: DeviceSpec) -> Scheduler:
    """The scheduler of a simulated device."""
    if device.scheduler == REPLAYED:
        return Replaying(device.schedule, runs=False)
    return strategy(device.scheduler, device.seed)
