"""The adversary: settles maps and work-dones in an order of its own, and fails calls on request.

The specification's "Promise Ordering" says what the adversary may disturb.  Maps settle in any
order among themselves.  A work-done settles after the maps and the work-dones that were asked for
before it.  Nothing more is promised.  So the adversary holds each of these promises, and settles
them one by one, in an order that follows from a seed.  Before it settles a promise, it waits for
the device's own promise, so that the device's speed decides nothing.  Until its map is settled, a
buffer stays pending.  A call that is to fail is named by its kind and its number, counted from 0
for each kind.  Nothing here watches or judges.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial, wraps
from random import Random
from typing import Any

import wgpu

_STYLES = ("any", "last", "first")
_LOOKS = 4
"""After so many looks at a held promise, some held promise is settled, so that polling ends."""
MAP, WORK_DONE = "map", "work_done"


class Adversary:
    """Disturbs one device; ``begin`` starts anew for each program."""

    def __init__(self) -> None:
        self._held: list[HeldPromise] = []
        self._is_advancing = False
        self.has_lost_device = False
        """Whether the adversary has destroyed the device, as planned."""
        self._pumped_by: Callable[..., Any] | None = None
        """``call_soon_threadsafe`` of the event loop that settles promises; None if none does."""
        self.begin(None)

    def begin(
        self,
        seed: int | None,
        *,
        failed_maps: Collection[int] = (),
        out_of_memory: Collection[int] = (),
        lost_at_submit: int | None = None,
    ) -> None:
        """Begin a program: its calls are counted from 0, and what is drawn follows from ``seed``.

        Without a seed nothing is disturbed.  ``failed_maps`` and ``out_of_memory`` are the numbers
        of maps and of buffers that fail; at the submit ``lost_at_submit`` the device is lost.
        """
        self._let_go()
        self.is_quiet = seed is None
        """Whether nothing is disturbed."""
        self._random = Random(0 if seed is None else seed)
        self._style = self._random.choice(_STYLES)
        self._failing: dict[str, Collection[int]] = {
            MAP: failed_maps,
            "buffer": out_of_memory,
            "submit": () if lost_at_submit is None else (lost_at_submit,),
        }
        self._calls = dict.fromkeys(self._failing, 0)

    def disturb(self, name: str, native: Callable[..., Any]) -> Callable[..., Any]:
        """Returns ``native``, the method that ``name`` names as ``Class.method``.

        If the adversary disturbs its calls, this returns the disturbing method in its place.
        """
        around = _DISTURBED.get(name)
        return native if around is None else wraps(native)(partial_method(around, self, native))

    def fails(self, kind: str) -> bool:
        """Count a call of a kind; returns whether it is planned to fail."""
        number = self._calls[kind]
        self._calls[kind] += 1
        return number in self._failing[kind]

    def hold(
        self, kind: str, promise: Any, of: Any, error: Exception | None = None
    ) -> "HeldPromise":
        """Returns a promise in the place of the device's ``promise``.

        ``of`` is the buffer that is to be mapped, or the queue whose work is waited for.
        With ``error`` the returned promise will fail.
        """
        held = HeldPromise.by(self, kind, promise, of, error)
        self._held.append(held)
        self._begin_pumping(held._call_soon_threadsafe)
        return held

    def advance(self) -> None:
        """Settle one held promise."""
        if self._is_advancing or not self._held:
            return
        self._is_advancing = True
        try:
            for each in self._held:
                each.wait_for_device()
            free = [each for at, each in enumerate(self._held) if each.kind == MAP or not at]
            self._settle(self._choice(free))
        finally:
            self._is_advancing = False

    def _begin_pumping(self, loop_call: Callable[..., Any] | None) -> None:
        """Have the running event loop settle held promises, at most one in each turn."""
        if loop_call is not None and loop_call != self._pumped_by:
            self._pumped_by = loop_call
            loop_call(self._pump, loop_call)

    def _pump(self, loop_call: Callable[..., Any]) -> None:
        if self._random.randrange(2):
            self.advance()
        if self._held and loop_call == self._pumped_by:
            loop_call(self._pump, loop_call)
        elif loop_call == self._pumped_by:
            self._pumped_by = None

    def _let_go(self) -> None:
        """Settle what an earlier program has left behind; its event loop may have ended."""
        while self._held:
            with suppress(RuntimeError):
                self.advance()

    def cancel(self, of: Any, because: str) -> None:
        """Reject the held maps of buffer ``of``; with None, all held maps.

        A promise of done work is not rejected: it is kept on a lost device too.
        """
        for each in list(self._held):
            if each.kind == MAP and (of is None or each.of is of):
                each.error = RuntimeError(f"Could not map buffer because {because}.")
                self._settle(each)

    def _choice(self, free: list["HeldPromise"]) -> "HeldPromise":
        if self._style == "any":
            return self._random.choice(free)
        return free[-1] if self._style == "last" else free[0]

    def _settle(self, held: "HeldPromise") -> None:
        self._held.remove(held)
        held.settle()


class HeldPromise(wgpu.GPUPromise):  # type: ignore[misc]
    """A promise that the adversary settles; promises that are chained to it are not held."""

    _adversary: Adversary | None = None
    kind: str
    of: Any
    """The buffer that is to be mapped, or the queue."""
    error: Exception | None = None
    """The error with which the promise will be rejected."""
    _now = "pending"
    _looks = 0
    _native: Any = None
    _raw: Any = None

    @classmethod
    def by(
        cls, adversary: Adversary, kind: str, native: Any, of: Any, error: Exception | None
    ) -> "HeldPromise":
        """A promise in the place of ``native``; it takes over the handler of ``native``."""
        held = cls(kind, None if native is None else native._handler)
        if native is not None:
            native._handler = None
        held.kind, held.of, held.error, held._native = kind, of, error, native
        held._adversary = adversary
        return held

    @property
    def _state(self) -> str:
        adversary = self._adversary
        if adversary is not None and self._now == "pending":
            self._looks += 1
            if self._looks % _LOOKS == 0:
                adversary.advance()
        return self._now

    @_state.setter
    def _state(self, state: str) -> None:
        self._now = state

    def wait_for_device(self) -> None:
        """Wait until the device has settled its own promise."""
        native, self._native = self._native, None
        if native is None:
            return
        try:
            self._raw = native.sync_wait()
        except Exception as error:
            self.error = error

    def settle(self) -> None:
        """Settle with ``error`` if there is an error, else with the device's value."""
        self._adversary = None
        if self.error is not None:
            self._wgpu_set_error(self.error)
        else:
            self._wgpu_set_input(self._raw)

    def _sync_wait(self) -> None:
        while self._now == "pending" and self._adversary is not None:
            self._adversary.advance()
        self._thread_event.wait()


def partial_method(
    around: Callable[..., Any], adversary: Adversary, native: Callable[..., Any]
) -> Callable[..., Any]:
    """Returns a method that calls ``around(adversary, native, self, ...)``.

    It calls ``native`` alone while the adversary disturbs nothing.
    """

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        if adversary.is_quiet:
            return native(self, *arguments, **named)
        return around(adversary, partial(native, self), self, *arguments, **named)

    return method


def _map(adversary: Adversary, native: Any, buffer: Any, *arguments: Any, **named: Any) -> Any:
    is_failing = adversary.fails(MAP)
    if buffer.map_state != "unmapped":
        return native(*arguments, **named)
    if is_failing:
        error = RuntimeError("Could not map buffer because a fault was planned.")
        return adversary.hold(MAP, None, buffer, error)
    return adversary.hold(MAP, native(*arguments, **named), buffer)


def _work_done(adversary: Adversary, native: Any, queue: Any) -> Any:
    return adversary.hold(WORK_DONE, native(), queue)


def _create_buffer(adversary: Adversary, native: Any, device: Any, **named: Any) -> Any:
    if adversary.fails("buffer"):
        raise wgpu.GPUOutOfMemoryError("cannot create a buffer because a fault was planned")
    return native(**named)


def _submit(adversary: Adversary, native: Any, queue: Any, command_buffers: Any) -> Any:
    if adversary.fails("submit"):
        adversary.has_lost_device = True
        # The ``_device`` of a simulated queue is only the device's state; ``_owner`` is the device.
        getattr(queue, "_owner", queue._device).destroy()
        raise wgpu.GPUInternalError("cannot submit because the device is lost: it was planned")
    return native(command_buffers)


def _destroy_buffer(adversary: Adversary, native: Any, buffer: Any) -> None:
    native()
    adversary.cancel(buffer, "it was destroyed")


def _destroy_device(adversary: Adversary, native: Any, device: Any) -> None:
    native()
    adversary.cancel(None, "the device is lost")


_DISTURBED: dict[str, Callable[..., Any]] = {
    "GPUBuffer.map_async": _map,
    "GPUBuffer.destroy": _destroy_buffer,
    "GPUQueue.on_submitted_work_done_async": _work_done,
    "GPUQueue.submit": _submit,
    "GPUDevice.create_buffer": _create_buffer,
    "GPUDevice.destroy": _destroy_device,
}
