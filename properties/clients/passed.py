"""Descriptions for people: what each client does, and in which forms it passes arguments."""

from collections.abc import Mapping

from gpusim.kernels import Kernel
from gpusim.ops import Dispatch, Op
from properties.clients.arrays import forms_of
from properties.clients.beside import BESIDE

_DOES = {
    "asking": "asks for values before any sync",
    "mutating": "passes each argument in another form, and overwrites it after the call",
    "awaiting": "awaits its reads in an event loop",
    "own_arrays": "reads into arrays of its own",
    "dropping": "issues further reads, and drops their tickets",
    "reentrant": "calls the runtime in done callbacks",
    "misusing": "makes calls that are to be refused, in between",
    "sharing": "shares buffers with the runtime, and carries out some ops itself",
    "closing": "closes the runtime in the place of the last sync",
    "wrong_thread": "issues most ops first from a thread that is to be refused",
    BESIDE: "runs a second runtime on the same device, with a like program of other data",
}


def does(client: str) -> str:
    """What a client does; empty for the plain one, and for one that is not ours."""
    return _DOES.get(client, "")


def passed(client: str, op: Op, kernels: Mapping[str, Kernel]) -> str:
    """The forms in which the mutating client passes the arguments of ``op``; else empty."""
    if client != "mutating" or not isinstance(op, Dispatch) or op.kernel not in kernels:
        return ""
    kernel = kernels[op.kernel]
    buffers, scalars = forms_of(op, kernel)
    said = f"its buffers as a {type(buffers).__name__}, its scalars as a {type(scalars).__name__}"
    if not isinstance(scalars, dict):
        return said
    names = [parameter.name for parameter in kernel.scalars]
    order = "in the kernel's order" if [*scalars] == names else "in another order than the kernel's"
    shown = ", ".join(f"{name}: {value}" for name, value in scalars.items())
    return f"{said} by name, {order}: {{{shown}}}"
