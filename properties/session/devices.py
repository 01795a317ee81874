"""The device of a case, as text: its name, what it is to hold, and how a simulated one behaves.

    vulkan:1
    gl max_binding_bytes=512
    simulated scheduler=random seed=17 failed_maps=0,3

A simulated device does what WebGPU leaves open as its scheduler says, and fails
as planned, so both are part of what decides a case.  Which limits may be asked
for is known to ``properties.session.limits``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gpusim.devices import SIMULATED, open_device
from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.simulated import KNOWN_KERNELS, NO_FAULTS, FaultPlan, parse_faults, strategy
from gpusim.simulated import open_device as open_simulated
from properties.session.limits import NATIVE_NAMES, asked_limits, words_of

SCHEDULERS = ("late", "early", "random")
"""Those that take turns, the one that defers most first."""
_SHOWN_AS = {
    # What takes several commands and ends half way loses all that it writes.
    "failed_maps": ("MapFailed", "DataLost"),
    "out_of_memory": ("OutOfMemory", "DataLost"),
    "failed_submits": ("SubmitFailed", "DataLost"),
    "lost_at_call": ("DeviceLost",),
    "lost_at_submit": ("DeviceLost",),
}
"""The error classes in which a fault that the device was planned to have may show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedDevice:
    """How a simulated device behaves; ``seed`` is for the random scheduler."""

    scheduler: str = SCHEDULERS[0]
    seed: int = 0
    faults: FaultPlan = NO_FAULTS
    limits: Mapping[str, int] = field(default_factory=dict)
    """What it holds in place of what WebGPU guarantees, by our names."""

    def __str__(self) -> str:
        words = [SIMULATED]
        words += [f"scheduler={self.scheduler}"] if self.scheduler != SCHEDULERS[0] else []
        words += [f"seed={self.seed}"] if self.seed else []
        words += [str(self.faults)] if len(self.faults) else []
        words += [words_of(self.limits)] if self.limits else []
        return " ".join(words)

    @property
    def shown_faults(self) -> frozenset[str]:
        """The error classes that its faults may show as."""
        planned = [name for name in _SHOWN_AS if getattr(self.faults, name) not in ((), None)]
        return frozenset(shown for name in planned for shown in _SHOWN_AS[name])


def is_simulated(device: str) -> bool:
    """Whether the device is a simulated one."""
    return device.split()[0] == SIMULATED


def name_of(device: str) -> str:
    """The name under which ``gpusim.devices`` knows it."""
    return device.split()[0]


@lru_cache(maxsize=16)
def shown_faults(device: str) -> frozenset[str]:
    """The error classes that the planned faults of a device may show as; none on a real one."""
    return parse_simulated(device).shown_faults if is_simulated(device) else frozenset()


@lru_cache(maxsize=16)
def parse_simulated(device: str) -> SimulatedDevice:
    """Read what ``str(SimulatedDevice)`` wrote; ProgramError where a word is unknown."""
    values: dict[str, Any] = {}
    faults = []
    for word in device.split()[1:]:
        key, _, value = word.partition("=")
        if key == "scheduler" and value in SCHEDULERS:
            values[key] = value
        elif key == "seed" and value.isdecimal():
            values[key] = int(value)
        elif key in _SHOWN_AS:
            faults.append(word)
        elif key not in NATIVE_NAMES or not value.isdecimal():
            raise ProgramError(
                f"cannot read device {device!r} because {word!r} says nothing of a simulated "
                "device (probably a misspelling)"
            )
    plan = parse_faults(" ".join(faults))
    return SimulatedDevice(**values, faults=plan, limits=asked_limits(device))


def open_case_device(device: str, kernels: Mapping[str, Kernel]) -> Any:
    """A device with the face of a wgpu-py device.

    Raises:
        NoDevice: there is no such adapter, or it gives no such device.
        ProgramError: the text says something else of a simulated device.
    """
    if not is_simulated(device):
        return open_device(name_of(device))

    behaviour = parse_simulated(device)
    known = {kernel.name: kernel for kernel in (*KNOWN_KERNELS, *kernels.values())}
    return open_simulated(
        scheduler=strategy(behaviour.scheduler, behaviour.seed),
        faults=behaviour.faults,
        kernels=known.values(),
        limits={NATIVE_NAMES[name]: value for name, value in behaviour.limits.items()},
    )


def restart_case_device(opened: Any, device: str) -> None:
    """Let a simulated device that was opened before begin anew as ``device`` says."""
    behaviour = parse_simulated(device)
    opened.restart(strategy(behaviour.scheduler, behaviour.seed))
