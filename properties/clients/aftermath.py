"""What a runtime must tell, refuse and keep after something went wrong: a function for each case.

Each function runs a few ops on a runtime of its own, on a device in trouble, and says what is wrong
with their outcomes.  It expects exact outcomes, also where a program may have several right ones.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from gpusim.errors import (
    DataLost,
    GpusimError,
    InvalidHandle,
    MapFailed,
    OutOfMemory,
    RuntimeClosed,
    SubmitFailed,
    WaitTimedOut,
)
from gpusim.kernels import AFFINE, SCRAMBLE
from gpusim.runtime.drivers.faulty import Fault
from properties.clients.troubled import DATA, Troubled
from properties.clients.waits import SYNCS
from properties.generate.choices import Choices
from properties.targets.runtime_target import RuntimeTarget

_WORDS = len(DATA) // 4
_DEBUG = {"debug_submit_each": True}


def _outcome(call: Callable[[], Any]) -> Any:
    """What a call gives; or the class of the error that it raises."""
    try:
        return call()
    except GpusimError as error:
        return type(error)


def _said(outcomes: Sequence[Any]) -> str:
    names = [each.__name__ if isinstance(each, type) else repr(each) for each in outcomes]
    return ", ".join(names)


def _words(number: int) -> bytes:
    return number.to_bytes(4, "little") * _WORDS


def _late_for_each(target: RuntimeTarget, choices: Choices) -> str:
    """In the debug mode that waits for each dispatch, the device hangs."""
    here = Troubled(target, inf, changes=_DEBUG)
    runtime = here.runtime
    x = runtime.alloc(len(DATA))
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [x], (3, 1))
    calls = {"dispatch": lambda: runtime.dispatch(AFFINE, [x], (3, 1)), "replay": graph.replay}
    told = choices.pick([*calls])
    seen = [_outcome(calls[told]), runtime.stats().dispatches, _outcome(runtime.flush)]
    here.driver.looks = 0
    seen.append(_outcome(lambda: runtime.read(x).result()))
    here.close()
    if seen == [None, 1, WaitTimedOut, _words(1)]:
        return ""
    what = f"a {told} whose wait is late, the count of dispatches, a flush and a read"
    return f"{what} give {_said(seen)}"


_INTERFERING = {"frees its buffer": InvalidHandle, "closes the runtime": RuntimeClosed}
"""What a done callback does half way through a replay, and how the replay then ends."""


def _interfered(target: RuntimeTarget, choices: Choices) -> str:
    """In the debug mode that waits for each dispatch, a done callback interferes with a replay."""
    here = Troubled(target, changes=_DEBUG, errors=(DataLost,))
    runtime = here.runtime
    x, y = runtime.alloc(len(DATA)), runtime.alloc(len(DATA))
    with runtime.capture() as graph:
        runtime.dispatch(AFFINE, [x], (3, 1))
        runtime.dispatch(AFFINE, [x], (5, 2))
    told = choices.pick([*_INTERFERING])
    frees = _INTERFERING[told] is InvalidHandle
    runtime.read(y).add_done_callback(lambda _: runtime.free(x) if frees else here.close())
    seen = [_outcome(graph.replay)]
    if frees:
        # The two dispatches turn 0 into 1, and 1 into 7.
        seen += [_outcome(lambda: graph.replay(None, {x: y})), _outcome(runtime.read(y).result)]
        here.close()
    if seen == [_INTERFERING[told], *[None, _words(7)] * frees]:
        return ""
    return f"a replay while a done callback {told}, the next replay and a read give {_said(seen)}"


_UNASKED = ("take", "wait")
_ASKED = ("submit", "encode")
_NEXT = ("sync", "flush", "poll", "close")


def _two_faults(target: RuntimeTarget, choices: Choices) -> str:
    """A read fails that nobody waits for, and in the same sync a batch fails."""
    verbs = choices.pick(_UNASKED), choices.pick(_ASKED)
    faults = [
        Fault(verb=verbs[0], call=0, error=MapFailed),
        Fault(verb=verbs[1], call=1, error=SubmitFailed),
    ]
    here = Troubled(target, faults=faults, errors=(MapFailed, SubmitFailed))
    runtime = here.runtime
    x, y = runtime.alloc(len(DATA)), runtime.alloc(len(DATA))
    runtime.read(y)
    syncs = {"sync": runtime.sync, "sync_async": lambda: here.in_loop(runtime.sync_async())}
    way, last = choices.pick([*syncs]), choices.pick(_NEXT)
    # If the first dispatch raises the fault of the read, the second is the one that is recorded.
    calls = [runtime.flush, *[lambda: runtime.dispatch(SCRAMBLE, [x])] * 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        told = Counter(map(_outcome, (*calls, syncs[way], getattr(runtime, last))))
    here.close()
    if told[MapFailed] == told[SubmitFailed] == 1:
        return ""
    times = {error.__name__: told[error] for error in here.errors}
    met = f"faults of a {verbs[0]} and a {verbs[1]}, met by {way}, then {last}"
    return f"{met}, are to be raised once each, and are raised so many times: {times}"


_ODD_BYTES = len(DATA) - 1


def _mended_in_vain(target: RuntimeTarget, choices: Choices) -> str:
    """An op that would overwrite all of a lost buffer fails before it has done anything."""
    verb, call, error, told = choices.pick(
        (
            ("write_buffer", 0, SubmitFailed, "write"),
            ("create_bind_group", 1, OutOfMemory, "copy"),
        )
    )
    faults = [
        Fault(verb="submit", call=0, error=SubmitFailed),
        Fault(verb=verb, call=call, error=error),
    ]
    here = Troubled(target, faults=faults, errors=(SubmitFailed, OutOfMemory))
    runtime = here.runtime
    x, y = runtime.alloc(_ODD_BYTES), runtime.alloc(len(DATA))
    with suppress(SubmitFailed):
        runtime.dispatch(SCRAMBLE, [x])
        runtime.flush()
    overwrite: Callable[[], Any] = {
        "write": lambda: runtime.write(x, bytes(_ODD_BYTES)),
        "copy": lambda: runtime.copy(y, x, source_offset=1),
    }[told]
    calls = (overwrite, lambda: runtime.read(x).result()) * 2
    seen = [*map(_outcome, calls)]
    here.close()
    if seen == [error, DataLost, None, bytes(_ODD_BYTES)]:
        return ""
    what = f"a {told} over a lost buffer, which fails at first, and a read, both twice,"
    return f"{what} give {_said(seen)}"


_FIRST_BATCH = 2


def _longer(target: RuntimeTarget, choices: Choices) -> str:
    """After each form of a sync, the next batch is as short as the first one was."""
    here = Troubled(target, changes={"first_batch": _FIRST_BATCH})
    runtime, told, before = here.runtime, "", 0
    x = runtime.alloc(len(DATA))
    # A sync that tells twice that it was late is found elsewhere.
    with suppress(WaitTimedOut):
        for name, sync in {"the begin": lambda _: None, **SYNCS}.items():
            sync(here)
            early = runtime.stats().flushes.get("early", 0)
            for turn in range(_FIRST_BATCH):
                runtime.dispatch(AFFINE, [x], (turn, 1))
            early = runtime.stats().flushes.get("early", 0) - early
            if early < before:
                told = told or f"after {name} the next batch is longer than the first one"
            before = early
    here.close()
    return told


AFTERMATHS: Sequence[Callable[[RuntimeTarget, Choices], str]] = (
    _late_for_each,
    _interfered,
    _two_faults,
    _mended_in_vain,
    _longer,
)
"""Each returns what is wrong, in words; empty for a sound runtime."""
