"""A graph: dispatches and copies that were captured once, to be replayed at will.

The handle that a caller holds, and the calls it keeps.  What a replay does is
``replays``' business.
"""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from gpusim.program import Scalars
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.calls import Call, CopyCall, DispatchCall


class Capturer(Protocol):
    """Who records a graph's calls: one graph at a time."""

    def begin(self, graph: "Graph") -> None: ...
    def end(self) -> None: ...


class Replayer(Protocol):
    """Who runs a graph's calls."""

    def play(
        self,
        graph: "Graph",
        scalars: Sequence[Scalars | None] | None,
        bindings: Mapping[Buffer, Buffer] | None,
    ) -> None: ...


class Graph:
    """What ``Runtime.capture`` gives; its ``with`` block is the capture.

    A block that an exception leaves makes no graph: to replay it is refused.
    ``enter`` checks that the runtime may be called at all.
    """

    def __init__(self, enter: Callable[[], None], capturer: Capturer, replayer: Replayer) -> None:
        self.calls: list[Call] = []
        self.is_complete = False
        self.buffers: tuple[Buffer, ...] = ()
        """The buffers its calls name, each once, in the order in which they come up."""
        self.named: frozenset[Buffer] = frozenset()
        self.scalars: tuple[Scalars, ...] = ()
        """The scalars of each of its dispatches."""
        self.key = object()
        """Stands for it in a cache of its runtime's, which would keep it alive."""
        self._enter = enter
        self._capturer = capturer
        self._replayer = replayer

    def replay(
        self,
        scalars: Sequence[Scalars | None] | None = None,
        bindings: Mapping[Buffer, Buffer] | None = None,
    ) -> None:
        """Run its calls in order, as if each was made now, and refused whole where one would be.

        ``scalars`` has an entry for each dispatch, None for those of the
        capture, and None in all keeps them all; ``bindings`` says which buffer
        stands in the place of one of the capture.

        Raises:
            InvalidHandle: it was not captured to the end.
            InvalidBinding: ``bindings`` names a buffer that it does not use.
            InvalidScalar: not as many entries as dispatches.
            Refused: as the first of its calls that is, and nothing is changed.
            DataLost: a buffer that it reads was lost.
            DeviceFault: where part of it was submitted by then, all it writes is lost.
        """
        self._replayer.play(self, scalars, bindings)

    def __enter__(self) -> Self:
        self._enter()
        self._capturer.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._capturer.end()
        self.buffers = tuple(dict.fromkeys(_named(self.calls)))
        self.named = frozenset(self.buffers)
        dispatches = (call for call in self.calls if isinstance(call, DispatchCall))
        self.scalars = tuple(call.scalars for call in dispatches)
        self.is_complete = kind is None

    def __repr__(self) -> str:
        state = "" if self.is_complete else ", not complete"
        return f"<graph of {len(self.calls)} calls{state}>"


def _named(calls: Sequence[Call]) -> list[Buffer]:
    named: list[Buffer] = []
    for call in calls:
        named += (call.source, call.target) if isinstance(call, CopyCall) else call.buffers
    return named
