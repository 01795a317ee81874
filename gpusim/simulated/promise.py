"""Promises, with the interface of wgpu-py's.

A promise settles in two steps, as in wgpu-py.  First the device timeline gives it a value or an
error ("pending-fulfilled").  Then the content timeline takes this value or error, when somebody
waits or in the next round of the event loop ("fulfilled").  The timeline decides when a promise
settles; nothing here does.
"""

import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from gpusim.simulated.timeline import Timeline

LastStep = Callable[[], Any]
"""The device's last step: gives the promise's value, or raises its error."""


class Settled:
    """The thread event of a promise: set once it has settled."""

    __slots__ = ("_promise",)

    def __init__(self, promise: "Promise") -> None:
        self._promise = promise

    def is_set(self) -> bool:
        """Whether the promise has settled, without waiting."""
        return self._promise._state != "pending"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the promise has settled; with a timeout, let one thing happen and return."""
        promise = self._promise
        if timeout is None:
            promise.timeline.wait(promise)
        elif promise.state == "pending":
            promise.timeline.progress(promise)
        return promise.state != "pending"


class Promise:
    """The eventual result of an asynchronous call.

    ``outcome`` runs when the promise settles, on the device timeline.  Then ``handler``
    turns the value of ``outcome`` into the result, on the content timeline.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_catchers",
        "_handler",
        "_loop_call",
        "_outcome",
        "_pumping",
        "_value",
        "after",
        "name",
        "ordered",
        "state",
        "timeline",
    )

    def __init__(
        self,
        timeline: Timeline,
        name: str,
        *,
        after: int = 0,
        ordered: bool = False,
        outcome: LastStep | None = None,
        handler: Callable[[Any], Any] | None = None,
    ) -> None:
        self.timeline = timeline
        self.name = name
        self.after = after
        self.ordered = ordered
        self.state = "pending"
        self._outcome = outcome
        self._handler = handler
        self._value: Any = None
        self._callbacks: list[Callable[[Any], Any]] = []
        self._catchers: list[Callable[[Any], Any]] = []
        self._loop_call = _running_loop_call()
        self._pumping = False

    def __repr__(self) -> str:
        return f"<GPUPromise {self.name!r} {self.state}>"

    @property
    def _state(self) -> str:
        # wgpu-py's name: callers poll it, because wgpu-py has no public one.
        if self.state == "pending" and self.timeline.pending:
            self.timeline.glance(self)
        return self.state

    @property
    def _thread_event(self) -> Settled:
        return Settled(self)

    def settle(self) -> None:
        """Run ``outcome`` and keep its value or error; the timeline calls this once."""
        try:
            self._value = self._outcome() if self._outcome else None
            self.state = "pending-fulfilled"
        except Exception as error:
            self._value = error
            self.state = "pending-rejected"
        self._schedule_resolve()

    def fulfil(self, value: Any) -> "Promise":
        """Settle with ``value`` now; for a promise that does not wait for the queue."""
        self._value = value
        self.state = "pending-fulfilled"
        self._schedule_resolve()
        return self

    def reject(self, error: Exception) -> "Promise":
        """Settle with an error now: the map was cancelled, or refused at the call."""
        if self.state == "pending" or self.state == "pending-fulfilled":
            self.timeline.forget(self)
            self._value = error
            self.state = "pending-rejected"
            self._schedule_resolve()
        return self

    def sync_wait(self) -> Any:
        """Wait for the result; raises the promise's error."""
        self.timeline.wait(self)
        if self.state == "pending":
            raise RuntimeError(
                f"cannot wait for {self.name} because it never settles (probably the device is "
                "lost: wgpu-native would hang here)"
            )
        return self._resolve()

    def then(
        self,
        callback: Callable[[Any], Any],
        error_callback: Callable[[Exception], Any] | None = None,
        title: str | None = None,
    ) -> "Promise":
        """Call ``callback`` with the result, in the event loop.

        Returns a promise of what ``callback`` returns.
        """
        if not callable(callback):
            raise TypeError(f"GPUPromise.then() got a callback that is not callable: {callback!r}")
        chained = self._chain(callback, title or f"{self.name} -> then", self._callbacks)
        if error_callback is not None:
            self.catch(error_callback)
        return chained

    def catch(self, callback: Callable[[Exception], Any]) -> "Promise":
        """Call ``callback`` with the error, in the event loop."""
        if not callable(callback):
            raise TypeError(f"GPUPromise.catch() got a callback that is not callable: {callback!r}")
        return self._chain(callback, f"{self.name} -> catch", self._catchers)

    def __await__(self) -> Generator[Any, None, Any]:
        while self.state == "pending":
            yield from _yield_to_loop().__await__()
            if self.state == "pending":
                self.timeline.progress(self)
        return self._resolve()

    def _chain(
        self, callback: Callable[[Any], Any], name: str, callbacks: list[Callable[[Any], Any]]
    ) -> "Promise":
        if self._loop_call is None:
            raise RuntimeError(
                "Cannot use GPUPromise.then() because no running loop could be detected."
            )
        chained = Promise(self.timeline, name, handler=callback)
        callbacks.append(chained.fulfil)
        if self.state == "pending":
            self._pump()
        elif not self.state.startswith("pending"):
            self._call_back()
        return chained

    def _pump(self) -> None:
        """Glance at the promise in each round of the event loop until it settles."""
        if self._pumping:
            self.timeline.glance(self)
        self._pumping = self.state == "pending"
        if self._pumping and self._loop_call is not None:
            self._loop_call(self._pump)

    def _schedule_resolve(self) -> None:
        if self._loop_call is not None:
            # If the loop is closed, the call raises.  In wgpu-py that happens in a callback of
            # wgpu-native, where the error is lost.  So it is dropped here too.
            with suppress(RuntimeError):
                self._loop_call(self._resolve_quietly)

    def _resolve_quietly(self) -> None:
        # The promise keeps the error; whoever waits gets it.
        if self.state in ("pending-fulfilled", "pending-rejected"):
            self._take_value()

    def _resolve(self) -> Any:
        if self.state in ("pending-fulfilled", "pending-rejected"):
            self._take_value()
        if self.state == "rejected":
            raise self._value
        return self._value

    def _take_value(self) -> None:
        """Take the content timeline's steps: the handler, then the callbacks."""
        state = self.state.removeprefix("pending-")
        if state == "fulfilled" and self._handler is not None:
            try:
                self._value = self._handler(self._value)
            except Exception as error:
                self._value, state = error, "rejected"
        self.state = state
        self._handler = None
        self._call_back()

    def _call_back(self) -> None:
        callbacks = self._callbacks if self.state == "fulfilled" else self._catchers
        self._callbacks, self._catchers = [], []
        if self._loop_call is not None:
            for callback in callbacks:
                self._loop_call(callback, self._value)


def _running_loop_call() -> Callable[..., Any] | None:
    """The function that schedules a call in the running event loop; None if no loop runs."""
    hook = sys.get_asyncgen_hooks()[0]
    loop = getattr(hook, "__self__", None)
    return getattr(loop, "call_soon_threadsafe", None)


async def _yield_to_loop() -> None:
    from wgpu._async import async_sleep

    await async_sleep(0)
