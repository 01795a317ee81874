"""What differs between wgpu-py and a package with its interface: errors, and who settles promises.

wgpu-py polls each device on a thread of its own, which settles promises.  wgpudawn has no such
thread: a promise settles only inside ``wgpuInstanceProcessEvents``, which the waiting code must
call.  The error classes of wgpudawn have the names of wgpu-py's, but are other classes.  Nothing
here waits or records.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import wgpu

_LOST = re.compile(r'\bdevice( "[^"]*")?]? (is )?lost', re.IGNORECASE)
_PLACES = ("- While ", "at ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What a driver needs to know of the package that its device belongs to.

    ``errors`` has the error classes.  ``tick`` lets the package settle promises; it is None if
    promises settle without it: wgpu-py's own thread settles them, and a simulated device needs no
    help.  ``look_seconds`` is the longest time to wait for a promise between two ticks.
    """

    errors: Any
    tick: Callable[[], None] | None
    look_seconds: float


def package_of(device: Any) -> Package:
    """The package of a device; for a wrapped device, that of its adapter."""
    of = type(getattr(device, "adapter", device)).__module__.partition(".")[0]
    return _of_dawn() if of == "wgpudawn" else _WGPU


def promise_of_loss(device: Any) -> Any:
    """The device's promise of a loss; None if the device has no such promise, as in wgpu-py 0.32.

    wgpu-py deletes ``lost_async`` from its device class, and does not implement
    ``_get_lost_async``.  wgpudawn lacks ``lost_async`` too, but its ``_get_lost_async`` works.
    """
    try:
        return device.lost_async if hasattr(device, "lost_async") else device._get_lost_async()
    except (AttributeError, NotImplementedError):
        return None


def says_lost(error: Exception) -> bool:
    """Whether a device's error says that the device was lost."""
    return _LOST.search(str(error)) is not None


def first_line(error: Exception) -> str:
    """An error in one line: the last line of its text that does not say where the error happened.

    In wgpu-native's text that is the last cause; Dawn's text says at its end where it happened.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if not line.startswith(_PLACES)]
    return causes[-1] if causes else type(error).__name__


_WGPU = Package(errors=wgpu, tick=None, look_seconds=0.05)


def _of_dawn() -> Package:
    import wgpudawn
    from wgpudawn.backends.dawn import _api

    return Package(errors=wgpudawn, tick=_api.process_events, look_seconds=0.0002)
