"""What a session judges: a factory opens a target for each program, and traces it where it can.

Our runtime is one factory's targets; adapters of others are another's.  A device that a case
names is opened here, with a simulated one's behaviour and small limits: a simulated device
enforces them, and on a real one the driver reports them and the laws see to it that they are
kept.  The driver under judgement is not asked what its device holds, so that it cannot misreport
that unseen.  Nothing here runs a program.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gpusim.devices import open_device
from gpusim.kernels import BUILTIN, Kernel, Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Op
from gpusim.runtime import Driver, Parts, driver_for
from gpusim.runtime.drivers.traced import TracedDriver
from gpusim.runtime.traced_parts import traced_parts
from gpusim.simulated import KNOWN_KERNELS, Replaying, Scheduler, strategy
from gpusim.simulated import open_device as open_simulated
from gpusim.trace import Trace
from properties.model.capabilities import Capabilities
from properties.model.case import (
    REPLAYED,
    AskedLimits,
    Case,
    DeviceSpec,
    parse_device,
    small_limits,
)
from properties.model.target import Delivery, Target
from properties.targets.naive_target import NaiveTarget
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
"""What our limits of a device are called by wgpu-py."""
_WHOLE_WORDS = ("max_buffer_bytes", "max_binding_bytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A target for one program, and a trace of what it does."""

    target: Target
    trace: Trace
    is_traced: bool = False
    """Whether the trace holds all that reached the driver, so that laws can be held against it."""


def as_target(made: Any) -> Target:
    """What a maker of targets gave, once it is seen to be a target.

    Raises:
        TypeError: it carries out no ops.
    """
    if not hasattr(made, "perform"):
        raise TypeError(
            f"cannot judge {made!r} because it has no method perform "
            "(probably its class does not inherit gpusim.testing.Adapter)"
        )
    target: Target = made
    return target


class TargetFactory(ABC):
    """Makes a target for each program of a session."""

    limits: Limits
    """What its device holds."""
    capabilities: Capabilities
    """What its targets promise; programs hold nothing else."""
    kernels: Kernels
    small: tuple[AskedLimits, ...] = ()
    """Small limits that its device may be asked for."""
    description: str = ""
    """What it runs on, where that is not the device of the session."""
    is_ours: bool = False
    """Whether its targets are our runtime: others know neither our policies nor our clients."""
    make_trace: Callable[[], Trace] = Trace
    """Makes the trace of each target; one may tell what it is told as it comes."""

    @abstractmethod
    def open(self, case: Case) -> Opened:
        """A new target, that shares at most the device with the one before."""

    def close(self) -> None:  # noqa: B027 - most keep nothing but a device
        """Give back what its targets shared."""


class Wrapping(TargetFactory):
    """Delegates to another factory and wraps each target."""

    def __init__(self, factory: TargetFactory, wrap: Callable[[Target], Target]) -> None:
        self.limits, self.capabilities = factory.limits, factory.capabilities
        self.kernels, self.small = factory.kernels, factory.small
        self.description, self.is_ours = factory.description, factory.is_ours
        self._factory, self._wrap = factory, wrap

    def open(self, case: Case) -> Opened:
        """A wrapped target, whose trace may hold more than was asked for."""
        opened = self._factory.open(case)
        return Opened(target=self._wrap(opened.target), trace=opened.trace)


class RuntimeFactory(TargetFactory):
    """Our runtime on one device, whose driver compiles each kernel once for all programs.

    A simulated device begins anew with each program, so that its schedule
    starts with it.  One that is to fail at a call by its number is a new one, as
    compiling is a call too; and each is, with a driver of its own, where
    ``make_driver`` is given, since that driver may count.
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
    ) -> None:
        self.kernels = kernels
        self._parts = parts
        self._make_driver = make_driver or driver_for
        self._begins_anew = make_driver is None
        spec = parse_device(device)
        native = open_case_device(spec, kernels)
        self.limits = limits_of(native)
        self.small = small_limits(self.limits, simulated=spec.is_simulated)
        self._driver: Driver = self._make_driver(native)
        self._simulated: dict[AskedLimits, tuple[Any, Driver]] = {}
        """Simulated devices that may begin anew, with their drivers, by what they hold."""

    def open(self, case: Case) -> Opened:
        """A new runtime, traced."""
        trace = self.make_trace()
        driver = self._driver_of(case.device)
        limits = driver.limits
        if not case.device.is_simulated:
            limits = case.device.held(limits)
        target = RuntimeTarget(
            TracedDriver(driver, trace, limits=limits),
            case.policy,
            kernels=self.kernels,
            parts=traced_parts(self._parts, trace),
        )
        return Opened(target=target, trace=trace, is_traced=True)

    def _driver_of(self, device: DeviceSpec) -> Driver:
        if not device.is_simulated:
            return self._driver
        kept = self._simulated.get(device.limits)
        if kept is not None and not kept[1].lost and not len(device.faults):
            opened, driver = kept
            opened.restart(scheduler_of(device))
            return driver
        opened = open_case_device(device, self.kernels)
        driver = self._make_driver(opened)
        if self._begins_anew and not len(device.faults):
            self._simulated[device.limits] = opened, driver
        return driver


MakeTarget = Callable[[Any, Kernels], Any]
"""From an opened device and kernels to a target."""


class AdapterFactory(TargetFactory):
    """Targets that ``make_target`` makes of one opened device and the kernels, untraced."""

    def __init__(
        self, device: str, kernels: Kernels = BUILTIN, *, make_target: MakeTarget = NaiveTarget
    ) -> None:
        self.kernels = kernels
        self._make_target = make_target
        self._device = open_case_device(parse_device(device), kernels)
        first = as_target(make_target(self._device, kernels))
        self.limits, self.capabilities = first.limits, first.capabilities

    def open(self, case: Case) -> Opened:
        """A new target; nothing of it can be traced.

        One that cannot be made has crashed, and raises why from every op.
        """
        trace = self.make_trace()
        try:
            return Opened(
                target=as_target(self._make_target(self._device, self.kernels)), trace=trace
            )
        except Exception as error:
            return Opened(target=_Unmade(error, self.capabilities, self.limits), trace=trace)


class _Unmade:
    """Stands for a target whose maker raised ``error``."""

    def __init__(self, error: Exception, capabilities: Capabilities, limits: Limits) -> None:
        self.capabilities, self.limits = capabilities, limits
        self._error = error

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        raise self._error

    def close(self) -> None:
        """Nothing was opened."""


def limits_of(device: Any) -> Limits:
    """What a wgpu-py device says of itself."""
    values = {name: int(device.limits[native]) for name, native in _NATIVE_NAMES.items()}
    for name in _WHOLE_WORDS:
        values[name] -= values[name] % WORD_BYTES
    return Limits(**values)


def open_case_device(device: DeviceSpec, kernels: Mapping[str, Kernel]) -> Any:
    """A device with the face of a wgpu-py device.

    Raises:
        NoDevice: there is no such adapter, or it gives no such device.
    """
    if not device.is_simulated:
        return open_device(device.name)
    known = {kernel.name: kernel for kernel in (*KNOWN_KERNELS, *kernels.values())}
    return open_simulated(
        scheduler=scheduler_of(device),
        faults=device.faults,
        kernels=known.values(),
        limits={_NATIVE_NAMES[name]: value for name, value in device.limits},
    )


def scheduler_of(device: DeviceSpec) -> Scheduler:
    """What decides for a simulated device what WebGPU leaves open."""
    if device.scheduler == REPLAYED:
        return Replaying(device.schedule, runs=False)
    return strategy(device.scheduler, device.seed)
