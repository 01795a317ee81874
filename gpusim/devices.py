"""Devices by name: the adapters of this machine, the simulated device, and Dawn's adapters.

A name is ``vulkan``, ``gl``, ``metal``, ``d3d12``, ``simulated`` or ``dawn``.  A backend's second
adapter is ``vulkan:1``, and so on.  wgpu is imported when the first adapter is asked for.  wgpudawn
is imported when Dawn is asked for by name, or when all adapters are listed.
Nothing here records or submits.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gpusim.errors import NoDevice, meant

SIMULATED = "simulated"
DAWN = "dawn"
"""Dawn, through the package wgpudawn, which has wgpu-py's interface; ``best`` never means Dawn."""
BEST = "best"
INSTALL = (
    "on Debian and Ubuntu: apt-get install mesa-vulkan-drivers libegl1 libgl1-mesa-dri; "
    "elsewhere: the vendor's graphics driver"
)
"""How to install a driver; a software driver makes the CPU an adapter."""
INSTALL_DAWN = "pip install 'gpusim[dawn]'"

_BACKENDS = {"Vulkan": "vulkan", "Metal": "metal", "D3D12": "d3d12", "OpenGL": "gl"}
"""Our names of wgpu's backends, the preferred ones first."""
_NUMBERED = (*_BACKENDS.values(), DAWN)
_KINDS = ("DiscreteGPU", "IntegratedGPU", "VirtualGPU", "CPU", "Unknown")
_RUNTIME_DIR = "XDG_RUNTIME_DIR"


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """One adapter: its name here, a description, and wgpu's object (None: simulated)."""

    name: str
    description: str
    native: Any = field(repr=False, compare=False, default=None)


_SIMULATED = Adapter(name=SIMULATED, description="a WebGPU device in pure Python")


def adapters() -> list[Adapter]:
    """wgpu's adapters of this machine, the best first, then the simulated device, then Dawn's."""
    return [*_wgpu_adapters(), _SIMULATED, *_dawn_adapters()]


def find_adapter(name: str = BEST) -> Adapter:
    """The adapter called ``name``; ``best`` is the first of ``adapters()``.

    Raises:
        NoDevice: with the names that exist, and what to install.
    """
    if name == SIMULATED:
        return _SIMULATED
    is_dawn = name.partition(":")[0] == DAWN
    found: list[Adapter] = [*_wgpu_adapters(), _SIMULATED, *(_dawn_adapters() if is_dawn else ())]
    if name == BEST:
        return found[0]
    for adapter in found:
        if adapter.name == name:
            return adapter
    known = [adapter.name for adapter in found]
    missing = what_dawn_misses if is_dawn else what_is_missing
    # Nothing is missing if Dawn works and only the number is too high, such as in "dawn:7".
    probably = (is_name(name) and missing()) or meant(name, known, "a misspelling")
    there = ", ".join(known)
    raise NoDevice(
        f"cannot open device {name!r} because this machine has {there} (probably {probably})"
    )


def open_device(name: str = BEST) -> Any:
    """A wgpu-py device, or one that looks the same, on the adapter called ``name``.

    Raises:
        NoDevice: there is no such adapter, or it gives no device.
    """
    return open_adapter(find_adapter(name))


def open_adapter(adapter: Adapter) -> Any:
    """A device of ``adapter``; NoDevice if it gives none."""
    if adapter.native is None:
        from gpusim import simulated

        return simulated.open_device()
    try:
        return adapter.native.request_device_sync()
    except RuntimeError as error:
        raise NoDevice(
            f"cannot open device {adapter.name!r} because its adapter gives none: {error} "
            "(probably its driver is broken or busy)"
        ) from error


def what_is_missing() -> str:
    """The probable reason for a missing adapter, and the remedy."""
    _, why = _ask_wgpu()
    if why:
        return f"wgpu cannot be used: {why}; pip install --force-reinstall wgpu"
    return f"a missing driver: {INSTALL}"


def what_dawn_misses() -> str:
    """The reason why there is no adapter of Dawn, and the remedy; empty if Dawn has an adapter."""
    found, why = _ask_dawn()
    if why:
        return why
    return "" if found else f"no driver that Dawn can use: docs/dawn.md names one; or {INSTALL}"


def is_name(name: object) -> bool:
    """Whether ``name`` could be the name of a device on some machine."""
    if not isinstance(name, str):
        return False
    backend, colon, number = name.partition(":")
    numbered = not colon or (number.isdecimal() and backend in _NUMBERED)
    return numbered and backend in names()


def names() -> Sequence[str]:
    """Every name that a device can have, without its number."""
    return [BEST, *_BACKENDS.values(), SIMULATED, DAWN]


def _wgpu_adapters() -> list[Adapter]:
    found = sorted(_enumerate(), key=_preference)
    return _numbered([(_BACKENDS[native.info["backend_type"]], native) for native in found])


def _dawn_adapters() -> list[Adapter]:
    found, _ = _ask_dawn()
    return _numbered([(DAWN, native) for native in sorted(found, key=_preference)])


def _numbered(found: Sequence[tuple[str, Any]]) -> list[Adapter]:
    """An adapter for each pair of a name and wgpu's object; the second of a name gets ``:1``."""
    seen: Counter[str] = Counter()
    named = []
    for name, native in found:
        number = f":{seen[name]}" if seen[name] else ""
        seen[name] += 1
        named.append(Adapter(name=name + number, description=_describe(native.info), native=native))
    return named


def _enumerate() -> list[Any]:
    """wgpu's adapters of the backends known here; empty if wgpu cannot be used."""
    found, _ = _ask_wgpu()
    return [native for native in found if native.info["backend_type"] in _BACKENDS]


@cache
def _ask_wgpu() -> tuple[list[Any], str]:
    """wgpu's adapters; or none, and why wgpu cannot be used.

    The adapters are enumerated once in a process.  wgpu has one GL context.  Each enumeration gives
    new adapters of that context, each with a lock of its own.  wgpu-py polls each device on a
    thread of its own.  So devices of two enumerations would use the context at the same time, which
    aborts the process ("BadAccess" in wgpu-hal 29, ``gles::egl::AdapterContext::lock``).
    """
    with _a_runtime_dir():
        try:
            import wgpu

            return list(wgpu.gpu.enumerate_adapters_sync()), ""
        except (ImportError, OSError, RuntimeError) as error:
            # The native library is missing or does not fit: no adapter, but no failure either.
            return [], str(error)


def _ask_dawn() -> tuple[list[Any], str]:
    """Dawn's adapters of the backends known here; or none, and why Dawn cannot be used.

    The adapters are new each time, since each gives only one device: the request consumes the
    adapter (specification, section 4.3 "GPUAdapter").
    """
    with _a_runtime_dir():
        try:
            import wgpudawn

            found = wgpudawn.gpu.enumerate_adapters_sync()
        except ImportError:
            return [], f"not installed: {INSTALL_DAWN}"
        except (OSError, RuntimeError) as error:
            return [], f"wgpudawn cannot be used: {error}"
    return [native for native in found if native.info["backend_type"] in _BACKENDS], ""


@contextmanager
def _a_runtime_dir() -> Iterator[None]:
    """Have XDG_RUNTIME_DIR set in the block: without it Mesa's EGL complains on stderr."""
    if _RUNTIME_DIR in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="gpusim-") as folder:
        os.environ[_RUNTIME_DIR] = folder
        try:
            yield
        finally:
            del os.environ[_RUNTIME_DIR]


def _preference(native: Any) -> tuple[bool, int, int]:
    """The sort key of adapters: GL last, then the kind of hardware, then the backend."""
    backend, kind = native.info["backend_type"], native.info["adapter_type"]
    rank = _KINDS.index(kind) if kind in _KINDS else len(_KINDS)
    return backend == "OpenGL", rank, list(_BACKENDS).index(backend)


def _describe(info: Any) -> str:
    parts = (info["device"], info["adapter_type"], info["description"])
    return ", ".join(part for part in parts if part)
