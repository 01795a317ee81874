"""What every method refuses: a closed runtime, a foreign thread, an open capture, a dead handle.

The rows are like those in ``misuses``.  They are made from one table of calls, so that no method is
left out.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gpusim import GpusimError, InvalidCapture, InvalidHandle, RuntimeClosed, WrongThread
from gpusim.kernels import AFFINE, FOLD

Row = tuple[str, Callable[[Any], object], type[GpusimError], str]
Call = Callable[[Any, Any], object]
"""A call of a runtime's method, as a function of ``at`` (see ``misuses``) and of the runtime."""


def _entered(context: Any) -> None:
    with context:
        pass


def _begun(coroutine: Any) -> None:
    """Run a coroutine up to its first wait."""
    try:
        coroutine.send(None)
    finally:
        coroutine.close()


_OF_CAPTURES: dict[str, Call] = {
    "copy": lambda at, runtime: runtime.copy(at.x, at.y, size_bytes=4),
    "dispatch": lambda at, runtime: runtime.dispatch(AFFINE, [at.x], (3, 1)),
    "dispatch_indirect": lambda at, runtime: runtime.dispatch_indirect(
        AFFINE, [at.x], (3, 1), counts=at.y, offset=1.5
    ),
}
"""The calls that a capture records.

Some calls here also have an invalid argument.  A runtime must report what forbids the call, before
it looks at the argument.
"""
_OTHERS: dict[str, Call] = {
    "alloc": lambda at, runtime: runtime.alloc(1.5),
    "adopt": lambda at, runtime: runtime.adopt(None),
    "lend": lambda at, runtime: _entered(runtime.lend(at.x)),
    "write": lambda at, runtime: runtime.write(at.x, b"abcd"),
    "read": lambda at, runtime: runtime.read(at.x, 1.5),
    "free": lambda at, runtime: runtime.free(at.x),
    "capture": lambda at, runtime: _entered(runtime.capture()),
    "flush": lambda at, runtime: runtime.flush(),
    "sync": lambda at, runtime: runtime.sync(-1),
    "sync_async": lambda at, runtime: _begun(runtime.sync_async(-1)),
    "poll": lambda at, runtime: runtime.poll(),
}
METHODS = _OF_CAPTURES | _OTHERS
"""A call of every method that a closed runtime refuses."""
WAITS: dict[str, Callable[[Any], object]] = {
    "result": lambda at: at.ticket.result(),
    "result with a timeout": lambda at: at.ticket.result(timeout=-1),
    "await": lambda at: _begun(at.ticket.__await__()),
}
_OF_THE_OWNER: dict[str, Callable[[Any], object]] = {
    "replay": lambda at: at.graph.replay(),
    "entered graph": lambda at: _entered(at.begun),
    "close": lambda at: at.runtime.close(),
}
NAMING: dict[str, Callable[[Any, Any], object]] = {
    "write": lambda at, gone: at.runtime.write(gone, b"abcd", 1.5),
    "read": lambda at, gone: at.runtime.read(gone, 1.5),
    "free": lambda at, gone: at.runtime.free(gone),
    "lend": lambda at, gone: _entered(at.runtime.lend(gone)),
    "copy from": lambda at, gone: at.runtime.copy(gone, at.x, size_bytes=1.5),
    "copy to": lambda at, gone: at.runtime.copy(at.x, gone, size_bytes=1.5),
    "dispatch over": lambda at, gone: at.runtime.dispatch(FOLD, [at.x, gone], (1,)),
    "dispatch over a part of": lambda at, gone: at.runtime.dispatch(
        AFFINE, [gone.part(0, 4)], (3, 1)
    ),
    "dispatch with a grid in": lambda at, gone: at.runtime.dispatch_indirect(
        AFFINE, [at.x], (3, 1), counts=gone, offset=1.5
    ),
}
"""Calls that name the buffer ``gone``."""
_OF_GRAPHS: dict[str, Callable[[Any, Any], object]] = {
    "replay over": lambda at, gone: at.graph.replay(None, {at.x: gone}),
}


def _in_a_capture(call: Call) -> Callable[[Any], object]:
    def made(at: Any) -> None:
        with at.runtime.capture():
            at.runtime.dispatch(AFFINE, [at.x], (3, 1))
            call(at, at.runtime)

    return made


def _aborted(at: Any) -> None:
    graph = at.runtime.capture()
    try:
        with graph:
            at.runtime.dispatch(AFFINE, [at.x], (3, 1))
            raise KeyError
    except KeyError:
        graph.replay()


def _wrapped(call: Callable[..., object], *given: str) -> Callable[[Any], object]:
    """A function of ``at``: calls ``call`` with ``at`` and its attributes of these names."""
    return lambda at: call(at, *[getattr(at, name) for name in given])


def _threaded(call: Callable[[Any], object]) -> Callable[[Any], object]:
    """``call`` in another thread; its error is raised here too."""

    def made(at: Any) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(call, at).result()

    return made


def _rows() -> Iterator[Row]:
    for name, method in METHODS.items():
        yield f"{name} on a closed runtime", _wrapped(method, "closed"), RuntimeClosed, "was closed"
        row = _threaded(_wrapped(method, "runtime"))
        yield f"{name} from a thread", row, WrongThread, "runtime of its own"
    for name, wait in (WAITS | _OF_THE_OWNER).items():
        yield f"{name} from a thread", _threaded(wait), WrongThread, "its own"
    for name, method in _OTHERS.items():
        yield f"{name} in a capture", _in_a_capture(method), InvalidCapture, "before the with"
    for name, wait in WAITS.items():
        row = _in_a_capture(lambda at, _, wait=wait: wait(at))  # type: ignore[misc]
        yield f"{name} in a capture", row, InvalidCapture, "cannot wait .*before the with"
    for name, naming in (NAMING | _OF_GRAPHS).items():
        yield f"{name} a freed buffer", _wrapped(naming, "gone"), InvalidHandle, "freed"
        yield f"{name} a foreign buffer", _wrapped(naming, "foreign"), InvalidHandle, "another"


FORBIDDEN: list[Row] = [
    *_rows(),
    ("a replay of an aborted capture", _aborted, InvalidHandle, "not ended"),
    (
        "a closed runtime entered",
        lambda at: at.closed.__enter__(),
        RuntimeClosed,
        "was closed",
    ),
]
