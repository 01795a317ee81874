"""What differs between wgpu-py and a package with its interface: the errors, and who calls back.

wgpu-py polls each device on a thread of its own, which settles promises.  wgpudawn has no such
thread: a promise settles only inside ``wgpuInstanceProcessEvents``, so that whoever waits calls it.
Its error classes have wgpu-py's names and are not wgpu-py's.  Nothing here waits or records.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import wgpu


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """``errors`` has the error classes; ``tick`` lets the package settle promises.

    ``look_seconds`` is the longest time to wait for a promise between two ticks.
    """

    errors: Any
    tick: Callable[[], None]
    look_seconds: float


def package_of(device: Any) -> Package:
    """The package of a device, or of the one that its wrapper has the adapter of."""
    of = type(getattr(device, "adapter", device)).__module__.partition(".")[0]
    return _of_dawn() if of == "wgpudawn" else _WGPU


def _nothing() -> None:
    """wgpu-py's own thread settles promises, and a simulated device needs nobody."""


_WGPU = Package(errors=wgpu, tick=_nothing, look_seconds=0.05)


def _of_dawn() -> Package:
    import wgpudawn
    from wgpudawn.backends.dawn import _api

    return Package(errors=wgpudawn, tick=_api.process_events, look_seconds=0.0002)
