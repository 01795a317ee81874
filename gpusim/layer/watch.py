"""The watch over a device: it numbers the device's objects and emits every call as an event.

The form of the events is in docs/SANITIZE.md.  An object has one number, counted from 1 in its
class, and is found again by wgpu-py's ``uid``.  The collection of an object by Python is emitted
before the next event, since it may happen in the middle of a call.  Nothing here knows which calls
there are, or which calls are wrong.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any

import wgpu

from gpusim.layer.shaders import UNKNOWN, Access, Layout
from gpusim.layer.sites import call_site
from gpusim.trace import Event

Sink = Callable[[Event], str | None]
"""Receives every event; that of a call comes before the call is made.  Returns None, or the reason
to refuse a submit."""

Range = tuple[int, int, int]
"""A buffer's number, an offset and a size in bytes."""
Bound = tuple[int, int, int, str]
"""A range and the access to it."""


FINISHED = "finished"
"""The state of an encoder that was finished; it has no further events."""


class PassState:
    """What a program has set on a pass or bundle encoder: the pipeline, groups and buffers."""

    __slots__ = ("bound", "encoder", "groups", "number", "others", "pipeline", "used")

    def __init__(self, encoder: int, number: int) -> None:
        self.encoder = encoder
        self.number = number
        self.pipeline: Pipeline | None = None
        self.groups: dict[int, tuple[Group, tuple[int, ...]]] = {}
        self.others: dict[object, Range] = {}
        """Vertex and index buffers, by their slot."""
        self.used: list[Bound] = []
        """What the draws of a bundle use."""
        self.bound: tuple[Bound, ...] | None = None
        """What the next dispatch or draw uses; None if it must be worked out anew."""


class Pipeline:
    """A pipeline's number and the access to its buffers."""

    __slots__ = ("access", "number")

    def __init__(self, number: int, access: Access) -> None:
        self.number = number
        self.access = access


class Group:
    """A bind group: its buffers in the order of their bindings, and its layout."""

    __slots__ = ("entries", "layout")

    def __init__(self, entries: tuple[tuple[int, int, int, int], ...], layout: Layout) -> None:
        self.entries = entries
        self.layout = layout


class Watch:
    """Numbers objects and hands events on; shared by all devices that one sink watches.

    ``wanted`` are the kinds of events that the sink looks at; None stands for all kinds.
    """

    def __init__(self, sink: Sink, wanted: Collection[str] | None = None) -> None:
        self._sink = sink
        self._wanted = wanted
        self.numbers: dict[int, int] = {}
        """The number of each object, by its uid."""
        self.states: dict[int, Any] = {}
        """What must be remembered of an object, by its uid: a layout, group, pipeline or pass."""
        self.views: dict[int, list[tuple[str, memoryview, Callable[[], object]]]] = {}
        """For each buffer's uid: the views of its mapped memory that were handed out, and where."""
        self._counts: Counter[str] = Counter()
        self._gone: deque[tuple[str, int]] = deque()
        self._lock = threading.RLock()
        self._told = 0

    def wants(self, kind: str) -> bool:
        """Whether the sink looks at events of that kind."""
        return self._wanted is None or kind in self._wanted

    def emit(self, kind: str, about: dict[str, Any]) -> int:
        """Emit an event of the call that is being carried out; gives the event's number.

        Raises:
            GPUValidationError: the sink refuses the call.
        """
        about["site"] = call_site()
        with self._lock:
            if self._gone:
                self.tell_gone()
            number = self._told = self._told + 1
            refusal = self._sink(Event(kind, about))
        if refusal is not None:
            error = wgpu.GPUValidationError(refusal)
            self.failed(error, number)
            raise error
        return number

    def failed(self, error: BaseException, call: int) -> None:
        """Emit that the call with this event number has raised."""
        self.emit("error", {"call": call, "type": kind_of(error), "message": str(error)})

    def next_number(self, kind: str) -> int:
        """The number of the next object of a class."""
        self._counts[kind] += 1
        return self._counts[kind]

    def know(self, thing: Any, number: int, state: Any = None) -> None:
        """Remember the number and the state of an object that was just made."""
        uid = thing.uid
        self.numbers[uid] = number
        if state is not None:
            self.states[uid] = state

    def collected(self, kind: str, uid: int) -> None:
        """Note that an object is being collected; this may happen at any moment."""
        self._gone.append((kind, uid))

    def tell_gone(self) -> None:
        """Emit what was collected since the last event."""
        with self._lock:
            while self._gone:
                kind, uid = self._gone.popleft()
                state = self.states.pop(uid, None)
                self.views.pop(uid, None)
                number = self.numbers.pop(uid, None)
                if number is not None and kind and state is not FINISHED:
                    self._told += 1
                    self._sink(Event("collect_" + kind, {kind: number}))


def kind_of(error: BaseException) -> str:
    """WebGPU's word for the class of an error; the name of the class if WebGPU has no word."""
    name = type(error).__name__
    words = {
        "GPUValidationError": "validation",
        "GPUOutOfMemoryError": "out-of-memory",
        "GPUInternalError": "internal",
    }
    return words.get(name, name)


def bound_by(state: PassState) -> tuple[Bound, ...]:
    """The buffers that a dispatch or draw uses, as they are set on its pass now."""
    if state.bound is None:
        state.bound = _bound_by(state)
    return state.bound


def _bound_by(state: PassState) -> tuple[Bound, ...]:
    found: list[Bound] = []
    access = state.pipeline.access if state.pipeline is not None else {}
    for index, (group, offsets) in state.groups.items():
        moves = iter(offsets)
        for binding, buffer, offset, size in group.entries:
            said = group.layout.get(binding)
            moved = offset + next(moves, 0) if said is not None and said[1] else offset
            # A binding that the pipeline does not have is not used.
            if not access or (index, binding) in access:
                found.append((buffer, moved, size, access.get((index, binding), UNKNOWN)))
    return tuple(found)
