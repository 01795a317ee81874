"""Laws of caches: they hold bind groups of live buffers only, and stay within their capacity."""

from collections.abc import Mapping

from gpusim.ops import (
    Dispatch,
    DispatchIndirect,
    Free,
    Sync,
)
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.state import About, Handler, TraceState, accepted

Ranges = tuple[tuple[int, int, int], ...]
"""The ranges of a bind group: for each, a buffer's number, an offset and a size in bytes."""


class Caches:
    """Counts the entries of caches, and follows bind groups in the order of their creation."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        policy = state.policy
        self._held = {"bind_groups": 0, "shapes": 0}
        self._capacities = {"shapes": policy.shape_cache}
        if policy.cache_bind_groups:
            self._capacities["bind_groups"] = policy.bind_group_cache
        self._groups: dict[int, Ranges] = {}
        """The ranges of each bind group that is kept, the oldest first."""
        self._made: dict[int, tuple[str, Ranges]] = {}
        """The kernel and the ranges for which each bind group was made."""
        self._unnoticed = 0
        """Bind groups made and not yet counted by the cache."""
        self._dropped = 0
        """Bind groups dropped since the last free."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        handlers: dict[str, Handler] = {
            "create_bind_group": self._make,
            "dispatch": self._dispatch,
            accepted(Dispatch): self._check_held,
            accepted(DispatchIndirect): self._check_held,
            accepted(Sync): self._check_held,
            "failed": self._failed,
            "bind_groups.created": self._created,
            "bind_groups.evicted": self._evicted,
            "bind_groups.invalidated": self._invalidated,
            "shapes.created": self._shape_created,
            "shapes.evicted": self._shape_evicted,
        }
        if self._state.policy.cache_bind_groups:
            handlers[accepted(Free)] = self._freed
        return handlers

    def _make(self, about: About) -> None:
        group, ranges = about["group"], about["ranges"]
        self._groups[group] = ranges
        self._made[group] = about["kernel"], ranges
        self._unnoticed += 1

    def _dispatch(self, about: About) -> None:
        """Check that the group was made for this kernel and for these buffers."""
        state = self._state
        state.checked["E5"] += 1
        kernel, ranges = self._made.get(about["group"], ("", ()))
        if kernel != about["kernel"]:
            state.report(
                laws.E5,
                f"a dispatch of {about['kernel']} has bind group {about['group']}, made for "
                f"{kernel or 'nothing'}",
            )
        elif ranges != about["ranges"] and _buffers(ranges) != _buffers(about["ranges"]):
            state.report(laws.E5, f"bind group {about['group']} was made for other buffers")

    def _created(self, about: About) -> None:
        self._held["bind_groups"] += 1
        self._unnoticed -= 1

    def _evicted(self, about: About) -> None:
        self._held["bind_groups"] -= 1
        if self._groups:
            del self._groups[next(iter(self._groups))]

    def _invalidated(self, about: About) -> None:
        self._held["bind_groups"] -= 1
        self._dropped += 1

    def _shape_created(self, about: About) -> None:
        self._held["shapes"] += 1

    def _shape_evicted(self, about: About) -> None:
        self._held["shapes"] -= 1

    def _failed(self, about: About) -> None:
        self._unnoticed = 0

    def _check_held(self, about: About) -> None:
        state = self._state
        state.checked["E7"] += 1
        for part, capacity in self._capacities.items():
            if not 0 <= self._held[part] <= capacity:
                held = self._held[part]
                state.report(
                    laws.E7, f"the {part} cache holds {held} entries, where {capacity} is the most"
                )
        if self._unnoticed:
            state.report(laws.E7, f"{self._unnoticed} bind groups were made and not counted")
            self._unnoticed = 0

    def _freed(self, about: About) -> None:
        """Check that every cached group of a freed buffer was dropped."""
        state, op = self._state, self._state.op
        assert isinstance(op, Free)
        known, dropped = state.names.get(op.buffer), self._dropped
        self._dropped = 0
        if known is None:
            return
        state.checked["E3"] += 1
        stale = [g for g, ranges in self._groups.items() if known.number in _buffers(ranges)]
        for group in stale:
            del self._groups[group]
        if len(stale) != dropped:
            state.report(
                laws.E3,
                f"{len(stale)} kept bind groups bind {op.buffer}, which is freed, and "
                f"{dropped} were dropped",
            )


def _buffers(ranges: Ranges) -> tuple[int, ...]:
    return tuple([number for number, _, _ in ranges])
