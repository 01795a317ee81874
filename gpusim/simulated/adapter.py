"""Adapters with their limits, and the entry point that a wgpu-py program starts from.

Source: WebGPU specification, section 4.3 "GPUAdapter", 4.2 "GPU" and 3.6.2 "Limits".
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gpusim.simulated.device import GPUDevice
from gpusim.simulated.faults import NO_FAULTS, FaultPlan
from gpusim.simulated.profile import PROFILES, SPEC, Profile
from gpusim.simulated.promise import Promise
from gpusim.simulated.scheduler import AsLate, Scheduler
from gpusim.simulated.state import DeviceState
from gpusim.simulated.timeline import Emit, Timeline
from gpusim.wgsl.checks.report import Ledger

FEATURES = ("shader-f16", "immediates")
"""The features that a device may have, by wgpu-py's names."""
INFO = {
    "vendor": "gpusim",
    "architecture": "",
    "device": "simulated",
    "description": "a WebGPU device in pure Python",
    "vendor_id": 0,
    "device_id": 0,
    "adapter_type": "CPU",
    "backend_type": "Simulated",
}


DEFAULT_LIMITS: Mapping[str, int] = {
    "max-bind-groups": 4,
    "max-bind-groups-plus-vertex-buffers": 24,
    "max-bindings-per-bind-group": 1000,
    "max-buffer-size": 268_435_456,
    "max-color-attachment-bytes-per-sample": 32,
    "max-color-attachments": 8,
    "max-compute-invocations-per-workgroup": 256,
    "max-compute-workgroup-size-x": 256,
    "max-compute-workgroup-size-y": 256,
    "max-compute-workgroup-size-z": 64,
    "max-compute-workgroup-storage-size": 16_384,
    "max-compute-workgroups-per-dimension": 65_535,
    "max-dynamic-storage-buffers-per-pipeline-layout": 4,
    "max-dynamic-uniform-buffers-per-pipeline-layout": 8,
    "max-immediate-size": 64,
    "max-inter-stage-shader-variables": 16,
    "max-sampled-textures-per-shader-stage": 16,
    "max-samplers-per-shader-stage": 16,
    "max-storage-buffer-binding-size": 134_217_728,
    "max-storage-buffers-per-shader-stage": 8,
    "max-storage-textures-per-shader-stage": 4,
    "max-texture-array-layers": 256,
    "max-texture-dimension-1d": 8192,
    "max-texture-dimension-2d": 8192,
    "max-texture-dimension-3d": 2048,
    "max-uniform-buffer-binding-size": 65_536,
    "max-uniform-buffers-per-shader-stage": 12,
    "max-vertex-attributes": 16,
    "max-vertex-buffer-array-stride": 2048,
    "max-vertex-buffers": 8,
    "min-storage-buffer-offset-alignment": 256,
    "min-uniform-buffer-offset-alignment": 256,
    "max-binding-array-elements-per-shader-stage": 0,
    "max-binding-array-sampler-elements-per-shader-stage": 0,
    "max-multiview-view-count": 0,
    "max-non-sampler-bindings": 1_000_000,
}
"""The limits by wgpu-py's names; only wgpu-native has the last four."""


on_device: list[Callable[[GPUDevice], None]] = []
"""Called with each device that is made; add a function here to watch every device."""


class GPUAdapter:
    """An adapter that makes simulated devices, all of one profile."""

    def __init__(
        self,
        *,
        profile: Profile,
        limits: Mapping[str, int],
        emit: Emit | None,
        schedule: Callable[[], Scheduler] = AsLate,
        faults: FaultPlan = NO_FAULTS,
        checks: Ledger | None = None,
    ) -> None:
        self.info = dict(INFO)
        self.features = {*FEATURES}
        self.limits = dict(limits)
        self.summary = f"{INFO['device']} ({INFO['adapter_type']}) via {INFO['backend_type']}"
        self._profile = profile
        self._emit = emit
        self._schedule, self._faults, self._checks = schedule, faults, checks

    def request_device_sync(
        self,
        *,
        label: str = "",
        required_features: Iterable[str] = (),
        required_limits: Mapping[str, int | None] | None = None,
        default_queue: Any = None,
    ) -> GPUDevice:
        """Makes a device; by default its scheduler does everything as late as is allowed.

        Raises:
            KeyError: ``required_limits`` has a name that no limit has.
            RuntimeError: a feature or limit that the adapter does not support.
        """
        features = list(required_features)
        missing = [name for name in features if name not in self.features]
        if missing:
            raise RuntimeError(
                f"cannot request a device with {missing} because the simulated adapter has only "
                f"{', '.join(FEATURES)} (probably a device of another kind was meant)"
            )
        limits = limits_with(self.limits, required_limits or {})
        return self.make(limits, self._schedule(), self._faults, label=label, features=features)

    def request_device_async(self, **wanted: Any) -> Promise:
        """``request_device_sync`` as a promise."""
        device = self.request_device_sync(**wanted)
        return Promise(device._state.timeline, "request device").fulfil(device)

    def make(
        self,
        limits: Mapping[str, int],
        scheduler: Scheduler,
        faults: FaultPlan,
        *,
        label: str = "",
        features: Iterable[str] = FEATURES,
        poison_staging: bool = False,
    ) -> GPUDevice:
        """Makes a device with this scheduler and this plan of faults."""
        timeline = Timeline(scheduler, faults, self._emit)
        state = DeviceState(
            self._profile, limits, timeline, poisons_staging=poison_staging, checks=self._checks
        )
        device = GPUDevice(state, self, label, features)
        for show in on_device:
            show(device)
        return device


class GPU:
    """Stands in for ``wgpu.gpu``, from which a program gets its adapter."""

    def __init__(self, **adapter: Any) -> None:
        self._adapter = adapter

    def request_adapter_sync(self, **wanted: Any) -> GPUAdapter:
        """The simulated adapter; the arguments are ignored."""
        return make_adapter(**self._adapter)

    def enumerate_adapters_sync(self) -> list[GPUAdapter]:
        """A list of one adapter, the simulated one."""
        return [self.request_adapter_sync()]

    def request_adapter_async(self, **wanted: Any) -> Promise:
        """The simulated adapter, as a promise."""
        return Promise(_idle(), "request adapter").fulfil(self.request_adapter_sync())

    def enumerate_adapters_async(self) -> Promise:
        """The list of ``enumerate_adapters_sync``, as a promise."""
        return Promise(_idle(), "enumerate adapters").fulfil(self.enumerate_adapters_sync())


def make_adapter(
    *,
    profile: str | Profile = SPEC,
    limits: Mapping[str, int] | None = None,
    emit: Emit | None = None,
    schedule: Callable[[], Scheduler] = AsLate,
    faults: FaultPlan = NO_FAULTS,
    checks: Ledger | None = None,
) -> GPUAdapter:
    """Makes an adapter.  All arguments but ``schedule`` mean what they mean in ``open_device``.

    ``schedule`` is called for each device, and makes the device's scheduler.
    """
    return GPUAdapter(
        profile=PROFILES[profile] if isinstance(profile, str) else profile,
        limits={**DEFAULT_LIMITS, **(limits or {})},
        emit=emit,
        schedule=schedule,
        faults=faults,
        checks=checks,
    )


def open_device(
    *,
    profile: str | Profile = SPEC,
    scheduler: Scheduler | None = None,
    faults: FaultPlan = NO_FAULTS,
    limits: Mapping[str, int] | None = None,
    emit: Emit | None = None,
    poison_staging: bool = False,
    checks: Ledger | None = None,
) -> GPUDevice:
    """A simulated device with the interface of a wgpu-py device.

    ``profile``: ``"spec"`` or ``"wgpu-native"``.  ``scheduler`` decides what the
    specification leaves open; the default does everything as late as possible.
    ``limits`` replace defaults; of the two values, the device's adapter supports the better one.
    ``emit(kind, **about)`` is called for every event, like ``gpusim.trace.Trace.emit``.  With
    ``poison_staging``, a buffer is overwritten when its mapping for reading ends.  That is against
    the specification; but a program that reads a staging buffer again without a new copy to it then
    gets wrong bytes, and not the right ones by chance.
    ``checks`` receives the mistakes in shaders that are found while a dispatch runs.
    """
    asked = limits or {}
    supported = {
        name: value
        for name, value in asked.items()
        if _is_better(name, value, DEFAULT_LIMITS[name])
    }
    adapter = make_adapter(profile=profile, limits=supported, emit=emit, checks=checks)
    return adapter.make(
        {**adapter.limits, **asked}, scheduler or AsLate(), faults, poison_staging=poison_staging
    )


def _is_better(name: str, value: int, other: int) -> bool:
    """Whether ``value`` allows more than the ``other`` value of the limit ``name``."""
    return value < other if name.startswith("min-") else value > other


def limits_with(supported: Mapping[str, int], wanted: Mapping[str, int | None]) -> dict[str, int]:
    """The ``supported`` limits, with the ``wanted`` ones in their place.

    Raises:
        KeyError: ``wanted`` has a name that no limit has.
        RuntimeError: a value is better than the supported one; wgpu-py raises this class too.
    """
    limits = dict(supported)
    for name, value in wanted.items():
        key = _canonical(name, supported)
        if value is None:
            continue
        if _is_better(key, value, supported[key]):
            raise RuntimeError(
                f"cannot request a device with {key}={value} because the adapter supports "
                f"{supported[key]} (probably a limit of another adapter)"
            )
        limits[key] = value
    return limits


def _canonical(name: str, known: Mapping[str, int]) -> str:
    snake = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    for spelling in (name, name.replace("_", "-"), snake):
        if spelling in known:
            return spelling
    raise KeyError(f"Unknown limit name '{name}'")


def _idle() -> Timeline:
    return Timeline(AsLate(), NO_FAULTS, None)


def stand_in(gpu: GPU) -> None:
    """Give every program of this process ``gpu`` as ``wgpu.gpu`` from now on.

    That is the one entry point of a wgpu-py program: ``wgpu.utils`` makes the default device from
    it.
    """
    # Imported here, because this loads wgpu's native library.
    import wgpu
    import wgpu.backends.auto

    wgpu.gpu = gpu
    wgpu.backends.auto.gpu = gpu
