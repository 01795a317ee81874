"""Makes the driver of a runtime, from a device, the name of a device, or nothing.

Only this file of the runtime knows devices by name.  Nothing here records or submits.
"""

from typing import Any

from gpusim.devices import Adapter, find_adapter, open_adapter, open_device, what_is_missing
from gpusim.errors import NoDevice
from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.limits import WORD_BYTES, Limits
from gpusim.runtime.byte_plans import most_piece_bytes
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.drivers.native import driver_for
from gpusim.runtime.policy import PRESETS, Policy

_OF_A_DEVICE = ("create_buffer", "limits", "queue")
_OWN = (COPY_BYTES, PATCH_WORDS)
_NEEDED = {
    "max-storage-buffers-per-shader-stage": max(len(kernel.buffers) for kernel in _OWN),
    "max-uniform-buffers-per-shader-stage": 1,
    "max-dynamic-uniform-buffers-per-pipeline-layout": 1,
    "max-uniform-buffer-binding-size": max(kernel.uniform_bytes for kernel in _OWN),
    "max-bindings-per-bind-group": max(len(kernel.buffers) for kernel in _OWN) + 1,
    "max-compute-workgroup-size-x": max(kernel.group_size for kernel in _OWN),
    "max-compute-invocations-per-workgroup": max(kernel.group_size for kernel in _OWN),
}
"""The least value of each limit, by wgpu-py's name, with which the runtime's own kernels compile.
Every device has that, unless it was requested with less."""


def open_driver(device: Any, driver: Driver | None) -> Driver:
    """The driver of a runtime: ``driver``, or the fastest driver that is safe for ``device``.

    ``device`` is a device of wgpu-py, or one with its interface; or the name of a device; or None,
    for the best adapter of this machine, which is never the simulated device.

    Raises:
        NoDevice: ``device`` is not a device or the name of one, or there is no adapter, or a limit
            of the device is too small for copying bytes.
    """
    if driver is None:
        return _usable(driver_for(_device_of(device)))
    if not isinstance(getattr(driver, "limits", None), Limits):
        raise NoDevice(
            f"cannot make a runtime with driver={driver!r} because that is no driver "
            "(probably device= was meant)"
        )
    if device is not None:
        raise NoDevice(
            f"cannot make a runtime on device={device!r} because driver= has its own device "
            "(probably one of the two is left over)"
        )
    return _usable(driver)


def _usable(driver: Driver) -> Driver:
    """``driver``; NoDevice if its device cannot copy a word at any offset."""
    limits = driver.limits
    for name, least in _NEEDED.items():
        has = getattr(driver.device, "limits", {}).get(name, least)
        if has < least:
            raise NoDevice(
                f"cannot make a runtime on {driver.device!r} because its {name} is {has}, and "
                f"copies of bytes need {least} (probably the device was requested with too small "
                "a limit)"
            )
    if most_piece_bytes(limits) < WORD_BYTES:
        raise NoDevice(
            f"cannot make a runtime on {driver.device!r} because its bindings hold "
            f"{limits.max_binding_bytes} bytes, aligned to {limits.storage_offset_alignment_bytes} "
            "(probably the device was requested with too small a limit: two words more than an "
            "alignment are enough)"
        )
    return driver


def _device_of(device: Any) -> Any:
    if device is None:
        return _open_best()
    if isinstance(device, str) and device not in PRESETS:
        return open_device(device)
    if not isinstance(device, type) and all(hasattr(device, name) for name in _OF_A_DEVICE):
        return device
    raise NoDevice(
        f"cannot make a runtime on device={device!r} because that is no device "
        f"(probably {_instead_of(device)})"
    )


def _open_best() -> Any:
    adapter = find_adapter()
    if adapter.native is None:
        raise NoDevice(
            f"cannot make a runtime because this machine has no adapter (probably "
            f'{what_is_missing()}); Runtime("simulated") needs none, and is slow'
        )
    return open_adapter(adapter)


def _instead_of(device: Any) -> str:
    if isinstance(device, str | Policy):
        return "a policy comes second: Runtime(device, policy)"
    if isinstance(device, Adapter):
        return f"its name was meant, {device.name!r}"
    if hasattr(device, "request_device_sync"):
        return "its request_device_sync() was meant"
    return "open_device(), or the name of a device, was meant"
