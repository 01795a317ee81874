"""What a mutant is, and how its broken part is handed to the runtime.

A mutant is one decorated class in ``properties/mutants/mistakes``: a subclass of the part that it
breaks, whose docstring says what is wrong.  The decorator registers the class as a ``Mutant``;
nothing else lists the class.  Nothing here knows who hunts a mutant, or with which programs.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gpusim.runtime import Driver, Parts, Runtime, WgpuDriver
from gpusim.runtime.batch import RingUniforms
from gpusim.runtime.caches import CachedBindGroups, CacheState
from gpusim.runtime.plans import Shapes
from gpusim.runtime.policy import Policy
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.uniforms import CachedUniforms, FreshUniforms, PooledUniforms
from properties.oracles.judge import Reference
from reference import run

Broken = TypeVar("Broken", bound=type)

_ALL = Parts()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A broken part, named after its mistake; every other part is the sound one."""

    name: str
    place: str
    """The mutant's file in ``mistakes``, and the class and methods of the part that it breaks."""
    description: str
    """What is wrong, in a sentence."""
    origin: str = ""
    """The project and issue where the mistake really happened, if it did."""
    found_by: str = "reference"
    """The name of the oracle that is sure to find the mutant within the full budget of a hunt (the
    other oracles get a small one)."""
    hard: bool = False
    """Whether the mutant has survived a hundred random programs."""
    rare: bool = False
    """Whether the mutant has survived a thousand random programs."""
    hangs: bool = False
    """Whether the mutant makes a program hang."""
    parts: Parts = _ALL
    make_driver: Callable[[Any], Driver] = WgpuDriver
    make_runtime: Callable[..., Runtime] = Runtime
    reference: Reference = run


SOUND = Mutant(name="none", place="", description="Nothing is wrong: every oracle must pass it.")
REGISTERED: list[Mutant] = []
"""All mutants, in the order in which their classes were defined."""


def mutant(
    *,
    part: str,
    make: Callable[[Any], Any] | None = None,
    beside: Mapping[str, Any] | None = None,
    origin: str = "",
    found_by: str = "reference",
    hard: bool = False,
    rare: bool = False,
    hangs: bool = False,
) -> Callable[[Broken], Broken]:
    """Register a class as a mutant of ``part``; the class itself is not changed.

    ``part`` is a field of ``Parts``, or ``"driver"``, ``"device"``, ``"runtime"`` or
    ``"reference"``.  Without ``make``, the class is called with the arguments of the sound class
    that it breaks; a driver or a device is called with the sound one that it wraps.  If the class
    needs other arguments, ``make`` turns it into a function that makes the part.  ``beside`` names
    further parts that must be broken too, each with its class.  The other arguments are fields of
    ``Mutant``.

    Raises:
        TypeError: there is no such part.
    """

    def register(broken: Broken) -> Broken:
        made = make(broken) if make else broken
        REGISTERED.append(
            Mutant(
                name=re.sub(r"(?<!^)(?=[A-Z])", "_", broken.__name__).lower(),
                place=_place(broken),
                description=" ".join((inspect.getdoc(broken) or "").split()),
                origin=origin,
                found_by=found_by,
                hard=hard,
                rare=rare,
                hangs=hangs,
                **_fields({part: made, **(beside or {})}),
            )
        )
        return broken

    return register


class Overlay:
    """A driver or a device that forwards to ``inner`` whatever a subclass does not do itself."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def around_driver(broken: Callable[[Any], Any]) -> Callable[[Any], Driver]:
    """Returns a function that makes the sound driver of a device and wraps it in ``broken``."""
    return lambda device: broken(WgpuDriver(device))


def _place(broken: type) -> str:
    file = broken.__module__.rpartition(".")[2]
    methods = [name for name, member in vars(broken).items() if inspect.isroutine(member)]
    return f"{file}: {broken.__mro__[1].__name__}.{'/'.join(methods)}"


def _fields(broken: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a ``Mutant`` that bring in the ``broken`` parts, given by name."""
    parts = {part: _maker(part, made) for part, made in broken.items() if part not in _AROUND}
    fields: dict[str, Any] = {"parts": Parts(**parts)}
    for part, made in broken.items():
        fields |= _AROUND[part](made) if part in _AROUND else {}
    return fields


_AROUND: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "driver": lambda broken: {"make_driver": around_driver(broken)},
    "device": lambda broken: {"make_driver": lambda device: WgpuDriver(broken(device))},
    "runtime": lambda broken: {"make_runtime": broken},
    "reference": lambda broken: {"reference": partial(run, make=broken)},
}
"""For each part that is no field of ``Parts``: the field of ``Mutant`` that brings in the broken
part."""


def _maker(part: str, broken: Any) -> Any:
    """Returns what makes the part: the class ``broken`` itself, or, if policies choose the part, a
    function.

    Where the policy asks for the sound class that ``broken`` breaks, the function makes an
    instance of ``broken``.  Otherwise it makes what the policy asks for.
    """
    sound = next((kind for kind in getattr(broken, "__mro__", ()) if kind in _ARGUMENTS), None)
    if sound is None:
        return broken

    def made(driver: Driver, policy: Policy, caches: CacheState) -> Any:
        asked = getattr(_ALL, part)(driver, policy, caches)
        if type(asked) is not sound:
            return asked
        return broken(*_ARGUMENTS[sound](driver, policy, caches))

    return made


_ARGUMENTS: Mapping[type, Callable[[Driver, Policy, CacheState], tuple[Any, ...]]] = {
    FreshUniforms: lambda driver, policy, caches: (driver,),
    PooledUniforms: lambda driver, policy, caches: (driver, policy.uniform_slots),
    CachedUniforms: lambda driver, policy, caches: (driver, caches),
    RingUniforms: lambda driver, policy, caches: (driver, policy.uniform_ring_bytes),
    CachedBindGroups: lambda driver, policy, caches: (driver, caches),
    Shapes: lambda driver, policy, caches: (caches, driver.limits.max_groups_per_dimension),
    StagingPool: lambda driver, policy, caches: (
        driver,
        policy.staging_buffers,
        policy.staging_class_bytes,
    ),
}
"""For each part that a policy chooses or sizes: the arguments of its class."""
