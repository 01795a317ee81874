"""Graphs: dispatches and copies that are captured once, and replayed any number of times.

Here are the checked calls that a graph keeps, the handle that the caller has, and the open
capture.  Calls name handles and not device buffers, so that a replay can replace the buffers.
Graphs are replayed by ``replays``, not here.
"""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from gpusim.errors import InvalidCapture, InvalidHandle
from gpusim.kernels import Kernel
from gpusim.ops import Grid, Scalars
from gpusim.runtime.buffers import Bound, Buffer, BufferPart, buffer_of
from gpusim.runtime.handles import Handle


class GridIn(NamedTuple):
    """A grid that the GPU reads when the dispatch runs: three u32 of ``counts`` at ``offset``."""

    counts: Buffer
    offset: int


class DispatchCall(NamedTuple):
    """Run ``kernel`` over ``grid`` workgroups."""

    kernel: Kernel
    buffers: tuple[Bound, ...]
    scalars: Scalars
    grid: Grid | GridIn

    @property
    def named(self) -> tuple[Buffer, ...]:
        """The buffers that the dispatch binds, and the buffer that holds its grid."""
        named = tuple(map(buffer_of, self.buffers))
        return (*named, self.grid.counts) if isinstance(self.grid, GridIn) else named

    def over(self, names: Mapping[Buffer, Buffer]) -> "DispatchCall":
        """The same call, with each of its buffers replaced as ``names`` says."""
        grid = self.grid
        if isinstance(grid, GridIn):
            grid = grid._replace(counts=names[grid.counts])
        return self._replace(
            buffers=tuple([_over(each, names) for each in self.buffers]), grid=grid
        )


def _over(bound: Bound, names: Mapping[Buffer, Buffer]) -> Bound:
    if isinstance(bound, BufferPart):
        return bound._replace(buffer=names[bound.buffer])
    other: Bound = names[bound]
    if isinstance(other, BufferPart):
        raise InvalidHandle(
            f"cannot replay over a part of {other.buffer!r} in the place of {bound!r} because only "
            "a buffer replaces a buffer (probably the part belongs into the capture)"
        )
    return other


class CopyCall(NamedTuple):
    """Copy ``size_bytes`` bytes, at any offsets, from a buffer to another or to itself."""

    source: Buffer
    source_offset: int
    target: Buffer
    target_offset: int
    size_bytes: int

    @property
    def named(self) -> tuple[Buffer, Buffer]:
        """The source and the target."""
        return self.source, self.target

    def over(self, names: Mapping[Buffer, Buffer]) -> "CopyCall":
        """The same call, with each of its buffers replaced as ``names`` says."""
        return self._replace(source=names[self.source], target=names[self.target])


Call = DispatchCall | CopyCall


class Graph(Handle):
    """A captured graph; ``Runtime.capture`` makes it, and its ``with`` block is the capture.

    If the block ends by an exception, the graph is not complete, and its replay is refused.
    ``enter`` checks that the runtime may be called, and ``play`` carries out a replay.
    """

    _instead = "it must be captured again"

    def __init__(
        self, enter: Callable[[], None], captures: "Captures", play: Callable[..., None]
    ) -> None:
        self.calls: list[Call] = []
        self.is_complete = False
        self.buffers: tuple[Buffer, ...] = ()
        """The buffers that the calls of the graph name, each once, in the order of first use."""
        self.named: frozenset[Buffer] = frozenset()
        self.scalars: tuple[Scalars, ...] = ()
        """The scalars of each dispatch of the graph."""
        self.kernels: tuple[Kernel, ...] = ()
        """The kernel of each dispatch of the graph."""
        self.key = object()
        """Stands for the graph in the runtime's cache, so that the cache keeps no graph alive."""
        self._enter = enter
        self._captures = captures
        self._play = play

    def replay(
        self,
        scalars: Sequence[Scalars | None] | None = None,
        bindings: Mapping[Buffer, Buffer] | None = None,
    ) -> None:
        """Run the graph's calls in order, as if they were made now.

        If one of them would be refused, none runs.  ``scalars`` has an entry for each dispatch; an
        entry of None keeps the captured scalars of its dispatch.  ``scalars=None`` keeps all
        captured scalars.  ``bindings`` maps buffers of the capture to the buffers that replace
        them.

        Raises:
            InvalidHandle: the graph was not captured to the end.
            InvalidBinding: ``bindings`` names a buffer that the graph does not use.
            InvalidScalar: ``scalars`` has not as many entries as the graph has dispatches.
            Refused: the error of the first call that is refused; nothing is changed.
            DataLost: a buffer that the graph reads was lost.
            DeviceFault: the device failed.  If some of the graph's commands were submitted by
                then, all buffers that the graph writes are lost.
        """
        self._play(self, scalars, bindings)

    def __enter__(self) -> Self:
        self._enter()
        self._captures.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._captures.end()
        self.buffers = tuple(dict.fromkeys([one for call in self.calls for one in call.named]))
        self.named = frozenset(self.buffers)
        dispatches = [call for call in self.calls if isinstance(call, DispatchCall)]
        self.scalars = tuple(call.scalars for call in dispatches)
        self.kernels = tuple(call.kernel for call in dispatches)
        self.is_complete = kind is None

    def __repr__(self) -> str:
        state = "" if self.is_complete else ", not complete"
        return f"<graph of {len(self.calls)} calls{state}>"


class Captures:
    """The open capture of one runtime."""

    def __init__(self) -> None:
        self.open: Graph | None = None

    def begin(self, graph: Graph) -> None:
        """Capture dispatches and copies into ``graph`` from now on.

        InvalidCapture if a capture is open, or if ``graph`` was captured before.
        """
        self.refuse("begin another capture")
        if graph.is_complete or graph.calls:
            raise InvalidCapture(
                f"cannot capture into {graph!r} because it was captured before "
                "(probably each capture needs its own runtime.capture())"
            )
        self.open = graph

    def end(self) -> None:
        """End the capture: calls are carried out again."""
        self.open = None

    def refuse(self, what: str) -> None:
        """Raise InvalidCapture if a capture is open."""
        if self.open is not None:
            raise InvalidCapture(
                f"cannot {what} while a capture is open because a graph holds dispatches and "
                "copies only (probably it belongs before the with block, or after it)"
            )
