"""Adapters, and the entry point that a wgpu-py program starts from.

Source: WebGPU specification, section 4.3 "GPUAdapter" and 4.2 "GPU".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gpusim.kernels import BUILTIN, COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.simulated.device import GPUDevice
from gpusim.simulated.faults import NO_FAULTS, FaultPlan
from gpusim.simulated.limits import DEFAULT_LIMITS, limits_with
from gpusim.simulated.pipeline import shaders_of
from gpusim.simulated.profile import PROFILES, SPEC, Profile
from gpusim.simulated.promise import Promise
from gpusim.simulated.schedulers import AsLate, Scheduler
from gpusim.simulated.state import DeviceState
from gpusim.simulated.timeline import Emit, Timeline

KNOWN_KERNELS: tuple[Kernel, ...] = (*BUILTIN.values(), PATCH_WORDS, COPY_BYTES)
"""The kernels a device knows when it is not told otherwise."""
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


class GPUAdapter:
    """An adapter that makes simulated devices, all alike."""

    def __init__(
        self,
        *,
        profile: Profile,
        limits: Mapping[str, int],
        shaders: Mapping[str, Kernel],
        emit: Emit | None,
    ) -> None:
        self.info = dict(INFO)
        self.features: set[str] = set()
        self.limits = dict(limits)
        self.summary = f"{INFO['device']} ({INFO['adapter_type']}) via {INFO['backend_type']}"
        self._profile = profile
        self._shaders = shaders
        self._emit = emit

    def request_device_sync(
        self,
        *,
        label: str = "",
        required_features: Iterable[str] = (),
        required_limits: Mapping[str, int | None] | None = None,
        default_queue: Any = None,
    ) -> GPUDevice:
        """A device that does everything as late as it may.

        Raises:
            KeyError: a limit of no such name.
            RuntimeError: a feature, or a limit, that the adapter does not have.
        """
        missing = list(required_features)
        if missing:
            raise RuntimeError(
                f"cannot request a device with {missing} because the simulated adapter has no "
                "features (probably a device of another kind was meant)"
            )
        limits = limits_with(self.limits, required_limits or {})
        return self.make(limits, AsLate(), NO_FAULTS, label=label)

    def request_device_async(self, **wanted: Any) -> Promise:
        """The same as a promise."""
        device = self.request_device_sync(**wanted)
        return Promise(device._state.timeline, "request device").fulfil(device)

    def make(
        self,
        limits: Mapping[str, int],
        scheduler: Scheduler,
        faults: FaultPlan,
        *,
        label: str = "",
        poison_staging: bool = False,
    ) -> GPUDevice:
        """A device under a scheduler and a plan of faults."""
        timeline = Timeline(scheduler, faults, self._emit)
        state = DeviceState(self._profile, limits, timeline, poisons_staging=poison_staging)
        return GPUDevice(state, self._shaders, self, label)


class GPU:
    """Where a program starts: stands in for ``wgpu.gpu``."""

    def __init__(self, **adapter: Any) -> None:
        self._adapter = adapter

    def request_adapter_sync(self, **wanted: Any) -> GPUAdapter:
        """The simulated adapter, whatever is wanted."""
        return make_adapter(**self._adapter)

    def enumerate_adapters_sync(self) -> list[GPUAdapter]:
        """The simulated adapter, alone."""
        return [self.request_adapter_sync()]

    def request_adapter_async(self, **wanted: Any) -> Promise:
        """The same as a promise."""
        return Promise(_idle(), "request adapter").fulfil(self.request_adapter_sync())

    def enumerate_adapters_async(self) -> Promise:
        """The same as a promise."""
        return Promise(_idle(), "enumerate adapters").fulfil(self.enumerate_adapters_sync())


def make_adapter(
    *,
    profile: str | Profile = SPEC,
    kernels: Iterable[Kernel] = KNOWN_KERNELS,
    shaders: Mapping[str, Kernel] | None = None,
    limits: Mapping[str, int] | None = None,
    emit: Emit | None = None,
) -> GPUAdapter:
    """An adapter; arguments as ``open_device``."""
    known = shaders_of(tuple(kernels))
    if shaders:
        known = {**known, **{code.strip(): kernel for code, kernel in shaders.items()}}
    return GPUAdapter(
        profile=PROFILES[profile] if isinstance(profile, str) else profile,
        limits={**DEFAULT_LIMITS, **(limits or {})},
        shaders=known,
        emit=emit,
    )


def open_device(
    *,
    profile: str | Profile = SPEC,
    scheduler: Scheduler | None = None,
    faults: FaultPlan = NO_FAULTS,
    kernels: Iterable[Kernel] = KNOWN_KERNELS,
    shaders: Mapping[str, Kernel] | None = None,
    limits: Mapping[str, int] | None = None,
    emit: Emit | None = None,
    poison_staging: bool = False,
) -> GPUDevice:
    """A simulated device with the face of a wgpu-py device.

    ``profile``: ``"spec"`` or ``"wgpu-native"``.  ``scheduler`` decides what the
    specification leaves open; as late as possible where none is given.
    ``kernels``: those whose WGSL it knows; ``shaders``: other WGSL text that
    means a kernel, with the kernel's bindings.  ``limits`` replace defaults.
    ``emit(kind, **about)`` is told of every event, as ``gpusim.trace.Trace.emit``.
    ``poison_staging``: what was read through a mapping is overwritten when that
    ends, against the specification, so that a stale read of a pooled staging
    buffer shows.
    """
    adapter = make_adapter(
        profile=profile, kernels=kernels, shaders=shaders, limits=limits, emit=emit
    )
    return adapter.make(
        adapter.limits, scheduler or AsLate(), faults, poison_staging=poison_staging
    )


def _idle() -> Timeline:
    return Timeline(AsLate(), NO_FAULTS, None)
