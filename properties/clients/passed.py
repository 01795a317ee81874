"""Descriptions for people: what each client does and calls, and how it passes arguments."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gpusim.kernels import Kernel
from gpusim.ops import Dispatch, Op, Read, Write
from properties.clients.arrays import INTO_ONE, data_of, forms_of, way_of
from properties.clients.beside import BESIDE
from properties.clients.misusing import misuse_before

AWAITING = "awaiting"
_MUTATING, _OWN_ARRAYS = "mutating", "own_arrays"
_DOES = {
    "asking": "asks for values before any sync, and for the text of the policy; makes some syncs "
    "twice, the first time with timeout=0, and awaits some",
    _MUTATING: "passes each argument in another form, and overwrites it after the call",
    AWAITING: "awaits its reads in an event loop, and cancels some syncs and awaits as they wait",
    _OWN_ARRAYS: "reads into arrays of its own, which may hold nearly the same bytes before; or "
    "reads twice into one array, or word by word",
    "dropping": "issues a read before and after each read, and drops their tickets; "
    "before each sync it calls sync(timeout=0), whose WaitTimedOut it catches; it captures the "
    "commands of each replay again",
    "reentrant": "gives each read three done callbacks: the first raises, the second is the "
    "program's, and the third calls the runtime, in a close too",
    "misusing": "between the ops, makes calls that are to be refused",
    "sharing": "shares buffers with the runtime, and carries out some ops itself, or by a second "
    "runtime that adopts what the first one lends; flushes in each loan, and closes in one",
    "closing": "closes the runtime instead of the last sync, at times by an error in its with "
    "block",
    "direct": "runs the program plainly; then calls devices of its own without a runtime, some of "
    "which fail, and a driver",
    "patient": "runs the program plainly; then waits, on runtimes of its own, for a device that is "
    "slow, hangs, fails or is lost; at times waits again after a wait that timed out, in a "
    "done callback, or after an event loop that ended; writes in pieces, one of which fails; "
    "leaves a sync by Ctrl-C, or by the close of its coroutine; and syncs in three tasks that wait "
    "for one map, which fails",
    "wrong_thread": "issues most ops first from a thread that is to be refused; before the first "
    "sync, a forked child calls each method, which is to be refused too",
    BESIDE: "runs a second runtime on the same device, with a like program of other data, and at "
    "times with another policy or in a thread of its own",
}


def does(client: str) -> str:
    """What a client of our runtime does; empty for the plain client and for foreign clients."""
    return _DOES.get(client, "")


_OWN: Mapping[tuple[str, str], str] = {
    ("dropping", "read"): "reads the same before it, and no bytes after it; drops both tickets",
    ("dropping", "replay"): "captures the commands again, and replays that graph instead",
    ("dropping", "sync"): "calls sync(timeout=0) before it, and catches its WaitTimedOut",
    (BESIDE, "capture"): "the other runtime goes on between the captured commands",
    (BESIDE, "flush"): "both runtimes flush in an event loop, which then runs",
    (AWAITING, "sync"): "starts four syncs at once, and cancels the first as soon as it waits",
    ("reentrant", "read"): "in its done callback: allocates, writes, dispatches, reads and frees "
    "a buffer of its own, then flushes, syncs or waits",
}


def own_calls(client: str, op: Op) -> str:
    """The client's own calls around ``op``, if they follow from the op; else empty."""
    if client == "misusing":
        row = misuse_before(op)
        said = "before it, a call that is to be refused, if the program has what the call needs"
        return "" if row is None else f"{said}: {row[0]}"
    return _OWN.get((client, op.verb), "")


def passed(client: str, op: Op, kernels: Mapping[str, Kernel]) -> str:
    """The forms in which the mutating client passes the arguments of ``op``; else empty."""
    if client != _MUTATING:
        return ""
    if isinstance(op, Write):
        return f"its data as {_described(data_of(op))}"
    if not isinstance(op, Dispatch) or op.kernel not in kernels:
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


def is_second_into_one(client: str, op: Read, buffer_bytes: int) -> bool:
    """Whether the client makes the read as the second of two reads into one array.

    The first reads as many bytes, at the end of the buffer.  Both are issued before either arrives.
    """
    return client == _OWN_ARRAYS and way_of(op, buffer_bytes) == INTO_ONE


def misread(client: str, op: Write) -> Iterator[tuple[bytes, str]]:
    """Wrong ways to take the data of ``op`` from the form in which the client passes the data.

    For each way: the bytes that are then written, and the way in words.
    """
    if client != _MUTATING or not op.data:
        return
    data = data_of(op)
    form = _described(data)
    if isinstance(data, np.ndarray):
        yield data.ravel(order="K").tobytes(), f"in the order of memory; they were passed as {form}"
        owner = data if data.base is None or not isinstance(data.base, np.ndarray) else data.base
        first = data.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        if first >= 0:
            packed = owner.reshape(-1).view(np.uint8)[first : first + len(op.data)].tobytes()
            yield packed, f"as if they lay side by side in memory; they were passed as {form}"
    if hasattr(data, "__len__"):
        yield op.data[: len(data)], f"as if an element were a byte; they were passed as {form}"


def _described(data: Any) -> str:
    """Describes a form of data to a reader."""
    if isinstance(data, memoryview):
        return f"a memoryview of format {data.format!r}{_strides(data.contiguous)}"
    if not isinstance(data, np.ndarray):
        return f"a {type(data).__name__}"
    shape = "x".join(map(str, data.shape)) or "no dimensions"
    flags = data.flags
    columns = flags.f_contiguous and not flags.c_contiguous
    lies = ", in Fortran's order" if columns else _strides(flags.c_contiguous)
    return f"an array of {data.dtype} of shape {shape}{lies}"


def _strides(is_packed: bool) -> str:
    return "" if is_packed else ", whose elements do not lie side by side in order"
