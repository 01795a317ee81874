"""A mapping that never holds more than its capacity.

It knows nothing of what it holds: whoever puts a value in disposes of the one
that was evicted for it.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from gpusim.runtime.stats import Counts

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """First in, first out; or least recently used first out, with ``by_recency``."""

    def __init__(self, capacity: int, *, by_recency: bool = False) -> None:
        self.counts = Counts()
        self._capacity = capacity
        self._by_recency = by_recency
        self._entries: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value of ``key``, counted as reused; None where there is none."""
        value = self._entries.get(key)
        if value is None:
            return None
        self.counts.reused += 1
        if self._by_recency:
            self._entries[key] = self._entries.pop(key)
        return value

    def put(self, key: K, value: V) -> list[V]:
        """Add a new entry; the values that had to go for it."""
        evicted = []
        while len(self._entries) >= self._capacity:
            evicted.append(self._entries.pop(next(iter(self._entries))))
        self._entries[key] = value
        self.counts.created += 1
        self.counts.evicted += len(evicted)
        self.counts.held = len(self._entries)
        return evicted

    def invalidate(self, stale: Callable[[K], bool]) -> list[V]:
        """Remove every entry whose key is ``stale``; their values."""
        removed = [self._entries.pop(key) for key in [k for k in self._entries if stale(k)]]
        self.counts.invalidated += len(removed)
        self.counts.held = len(self._entries)
        return removed

    def clear(self) -> list[V]:
        """Remove everything; the values that were held."""
        values = list(self._entries.values())
        self._entries.clear()
        self.counts.held = 0
        return values

    def __len__(self) -> int:
        return len(self._entries)
