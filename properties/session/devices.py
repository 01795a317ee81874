"""The device of a case, as text: a device's name, and for a simulated one how it behaves.

    vulkan:1
    simulated scheduler=random seed=17

A simulated device does what WebGPU leaves open as its scheduler says, so the
scheduler is part of what decides a case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpusim.devices import SIMULATED, open_device
from gpusim.errors import ProgramError
from gpusim.kernels import Kernel

SCHEDULERS = ("late", "early", "random")
"""Those that take turns, the one that defers most first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedDevice:
    """How a simulated device behaves; ``seed`` is for the random scheduler."""

    scheduler: str = SCHEDULERS[0]
    seed: int = 0

    def __str__(self) -> str:
        words = [
            f"{entry.name}={getattr(self, entry.name)}"
            for entry in fields(self)
            if getattr(self, entry.name) != entry.default
        ]
        return " ".join([SIMULATED, *words])


def is_simulated(device: str) -> bool:
    """Whether the device is a simulated one."""
    return device.split()[0] == SIMULATED


def name_of(device: str) -> str:
    """The name under which ``gpusim.devices`` knows it."""
    return device.split()[0]


def parse_simulated(device: str) -> SimulatedDevice:
    """Read what ``str(SimulatedDevice)`` wrote; ProgramError where a word is unknown."""
    values: dict[str, Any] = {}
    for word in device.split()[1:]:
        key, _, value = word.partition("=")
        if key == "scheduler" and value in SCHEDULERS:
            values[key] = value
        elif key == "seed" and value.isdecimal():
            values[key] = int(value)
        else:
            raise ProgramError(
                f"cannot read device {device!r} because {word!r} says nothing of a simulated "
                "device (probably a misspelling)"
            )
    return SimulatedDevice(**values)


def open_case_device(device: str, kernels: Mapping[str, Kernel]) -> Any:
    """A device with the face of a wgpu-py device.

    Raises:
        NoDevice: there is no such adapter, or it gives no device.
        ProgramError: the text says something else of a simulated device.
    """
    if not is_simulated(device):
        return open_device(device)
    from gpusim.simulated import KNOWN_KERNELS, strategy
    from gpusim.simulated import open_device as open_simulated

    behaviour = parse_simulated(device)
    known = {kernel.name: kernel for kernel in (*KNOWN_KERNELS, *kernels.values())}
    return open_simulated(
        scheduler=strategy(behaviour.scheduler, behaviour.seed), kernels=known.values()
    )
