"""Sees that a user's adapter is one, before the first program runs.

A promise that the adapter has no method for would otherwise be told as its crash, and one that is
of another kind would not be tested at all.  Whether a promise is kept is not known here.
"""

import inspect
from collections.abc import Callable
from typing import Any

from gpusim.errors import ProgramError, meant
from gpusim.kernels import Kernels
from gpusim.limits import Limits
from properties.model.capabilities import Arrival, Capabilities
from properties.model.target import (
    Adapter,
    ArrayAdapter,
    ConcurrentAdapter,
    HandleAdapter,
    IndirectAdapter,
    ReplayingAdapter,
    Target,
)

Promised = Callable[[Capabilities], bool]
_NEEDS: tuple[tuple[str, Promised, type, tuple[str, ...]], ...] = (
    ("handles", lambda promises: promises.handles, HandleAdapter, ()),
    ("replays", lambda promises: promises.replays, ReplayingAdapter, ("capture", "replay")),
    ("indirect", lambda promises: promises.indirect, IndirectAdapter, ("dispatch_indirect",)),
    (
        "concurrent_syncs",
        lambda promises: promises.concurrent_syncs,
        ConcurrentAdapter,
        ("begin_sync",),
    ),
    (
        "delivery=Arrival.ARRAY",
        lambda promises: promises.delivery is Arrival.ARRAY,
        ArrayAdapter,
        ("perform_into",),
    ),
)
"""Promises, each with the class of adapter that it needs, and the methods that do as well."""
_METHODS = sorted(
    {
        name
        for kind in (Adapter, *(kind for *_, kind, _ in _NEEDS))
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
)


def first_target(
    make_target: Callable[[Any, Kernels], Any], device: Any, kernels: Kernels
) -> Target:
    """A target that ``make_target`` makes; it is what the judge can ask.

    Raises:
        ProgramError: its class lacks a method, or it promises what it has no method for.
        TypeError: it is no target.
    """
    check_class(make_target)
    target = as_target(make_target(device, kernels))
    check_target(target)
    return target


def as_target(made: Any) -> Target:
    """``made``, which must be a target.

    Raises:
        TypeError: ``made`` has no method ``perform``.
    """
    if not hasattr(made, "perform"):
        raise TypeError(
            f"cannot judge {made!r} because it has no method perform "
            "(probably its class does not inherit gpusim.testing.Adapter)"
        )
    target: Target = made
    return target


def check_class(made: Any) -> None:
    """Raise ProgramError if ``made`` is a class that lacks methods."""
    if not inspect.isabstract(made):
        return
    lacking = sorted(made.__abstractmethods__)
    raise ProgramError(
        f"cannot judge {made.__name__} because it lacks {', '.join(lacking)} (probably a method "
        "has another name there, or is not written yet)"
    )


def check_kernels(capabilities: Capabilities, kernels: Kernels) -> None:
    """Raise ProgramError if kernels are promised, and none of them is among ``kernels``."""
    promised = capabilities.kernels
    if promised and not any(name in kernels for name in promised):
        probably = meant(promised[0], kernels, "their file is missing in --kernels")
        raise ProgramError(
            f"cannot judge a target that promises only kernels {', '.join(promised)} because "
            f"there is none of that name (probably {probably})"
        )


def check_target(target: Any) -> None:
    """Raise ProgramError if ``target`` does not state its promises, or has no method for one."""
    name = type(target).__name__
    for attribute, kind in (("capabilities", Capabilities), ("limits", Limits)):
        stated = getattr(target, attribute, None)
        if not isinstance(stated, kind):
            raise ProgramError(
                f"cannot judge {name} because its {attribute} are {stated!r:.60}, which is no "
                f"{kind.__name__} (probably {attribute} = {kind.__name__}(...) is meant)"
            )
    _see_methods(name, target)
    for method in _METHODS:
        if inspect.iscoroutinefunction(getattr(target, method, None)):
            raise ProgramError(
                f"cannot judge {name} because its {method} is an async function, which the judge "
                f"would not await (probably {method} should run it to its end in an event loop)"
            )


def _see_methods(name: str, target: Any) -> None:
    """Raise ProgramError if an adapter cannot be asked for what it promises.

    A class with a ``perform`` of its own may do so in its own way.
    """
    if getattr(type(target), "perform", None) is not Adapter.perform:
        return
    for promise, is_promised, kind, methods in _NEEDS:
        has = bool(methods) and all(hasattr(target, method) for method in methods)
        if is_promised(target.capabilities) and not (has or isinstance(target, kind)):
            lacking = f"it lacks {' and '.join(methods)}" if methods else "it is given names only"
            raise ProgramError(
                f"cannot judge {name} because it promises {promise}, and {lacking} (probably it "
                f"should inherit {kind.__name__})"
            )
