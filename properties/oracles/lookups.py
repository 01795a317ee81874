"""What the caches of plans and launch shapes must find again, worked out from the ops alone.

A policy says how many plans, planned graphs and shapes are kept, and in which order they are
dropped.  So the ops decide how often a runtime looks for a shape: once for each dispatch that it
plans anew.  Nothing here looks at a trace.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from gpusim.history import Outcome
from gpusim.ops import Capture, Command, Dispatch, DispatchIndirect, Free, Op, Replay
from gpusim.program import buffers_of, renamed
from gpusim.runtime.policy import Policy


class Lookups:
    """The caches of one runtime that has met no fault, after the ops so far."""

    def __init__(self, policy: Policy) -> None:
        self.created = self.used = 0
        """``created``: how many shapes were made.  ``used``: how often one was made or found."""
        self._plans = _Plans(policy.plan_cache)
        self._graphs = _Plans(policy.graph_cache)
        self._shapes: dict[Hashable, None] = {}
        self._most_shapes = policy.shape_cache
        self._captures: dict[str, Capture] = {}
        self._followed, self._is_known = 0, True
        self._handlers: Mapping[type[Op], Callable[[Any], None]] = {
            Dispatch: self._plan,
            DispatchIndirect: self._plan,
            Free: self._free,
            Capture: self._capture,
            Replay: self._replay,
        }

    def follow(self, issued: Sequence[tuple[Op, Outcome]]) -> bool:
        """Follow all ops so far; those that were followed before are skipped.

        Returns False if one of them is a capture or a replay that was refused: it is unknown how
        many commands the runtime planned before it refused.  A refused dispatch counts as no
        lookup.
        """
        news, self._followed = issued[self._followed :], len(issued)
        for op, outcome in news if self._is_known else ():
            if outcome.error is not None:
                if isinstance(op, Capture | Replay):
                    self._is_known = False
                    return False
            elif (handler := self._handlers.get(type(op))) is not None:
                handler(op)
        return self._is_known

    def _free(self, op: Free) -> None:
        self._plans.forget(op.buffer)
        self._graphs.forget(op.buffer)

    def _capture(self, op: Capture) -> None:
        self._captures[op.graph] = op
        self._plan_all(op.commands, {})

    def _replay(self, op: Replay) -> None:
        captured, names = self._captures[op.graph], dict(op.bindings)
        buffers = [names.get(name, name) for name in dict.fromkeys(buffers_of(captured))]
        if self._graphs.misses((op.graph, *buffers), lambda: buffers):
            self._plan_all(captured.commands, names)

    def _plan_all(self, commands: Sequence[Command], names: Mapping[str, str]) -> None:
        for command in commands:
            if isinstance(command, Dispatch | DispatchIndirect):
                self._plan(renamed(command, names))

    def _plan(self, op: Command) -> None:
        assert isinstance(op, Dispatch | DispatchIndirect)
        is_plain = isinstance(op, Dispatch)
        grid = op.grid if isinstance(op, Dispatch) else (op.counts, op.offset)
        key = op.kernel, grid, op.buffers
        if self._plans.misses(key, lambda: buffers_of(op)) and is_plain:
            self._launch((op.kernel, grid))

    def _launch(self, shape: Hashable) -> None:
        """Find a shape or make it; a full cache drops the shape that was used least recently."""
        self.used += 1
        if shape in self._shapes:
            del self._shapes[shape]
        else:
            self.created += 1
            if len(self._shapes) >= self._most_shapes:
                del self._shapes[next(iter(self._shapes))]
        self._shapes[shape] = None


class _Plans:
    """Plans by key.  A full cache drops the oldest plan; the free of a buffer drops its plans."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._plans: dict[Hashable, frozenset[str]] = {}

    def misses(self, key: Hashable, buffers: Callable[[], Iterable[str]]) -> bool:
        """Whether no plan is kept under ``key``; if so, one is made.

        It is kept if the capacity is not 0.

        ``buffers`` returns the buffers of the plan; it is called only if the plan is kept.
        """
        if key in self._plans:
            return False
        if self._capacity:
            if len(self._plans) >= self._capacity:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = frozenset(buffers())
        return True

    def forget(self, buffer: str) -> None:
        """Drop every plan over ``buffer``."""
        for key in [key for key, buffers in self._plans.items() if buffer in buffers]:
            del self._plans[key]
