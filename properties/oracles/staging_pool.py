"""What the staging pool of our runtime costs the device: which buffers its reads make and keep.

These are failures: to make a staging buffer though a free one fits, or to make it larger than
needed; to take a larger free one than needed, so that a long read finds none; to destroy a free one
though the pool has room, or keeps a smaller one; to use two buffers where reads could share one;
and to map bytes that no read has copied.  ``thrift`` passes the events on.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.runtime.policy import Policy

_LEAST_BYTES = 256
"""The smallest class of staging buffers."""


class StagingPool:
    """The staging buffers of one runtime, after the events so far.

    ``waste`` is called with the trait and the reason of each waste.
    """

    def __init__(self, policy: Policy, waste: Callable[[str, str], None]) -> None:
        self._policy = policy
        self._waste = waste
        self._page_bytes = -(-policy.staging_page_bytes // WORD_BYTES) * WORD_BYTES
        self._sizes: dict[int, int] = {}
        self._free: dict[int, int] = {}
        """Staging buffers that are kept for reuse, and their bytes.  Reads of the open batch
        may have taken some already.  These stay here until the batch is encoded, since only then
        does the trace show the copies of the reads."""
        self._frees = 0
        self._freed_as: dict[int, int] = {}
        """For each free buffer: how many were given back before."""
        self._taken: deque[int] = deque()
        """For each free buffer that is taken already: how many were given back before that."""
        self._made: list[tuple[int, tuple[int, ...]]] = []
        """Staging buffers made for the open batch, each with the free ones of sufficient size."""
        self._pages: dict[int, int] = {}
        """Bytes used of each staging buffer that the current batch copies to, in order."""

    def create(self, number: int, size_bytes: int) -> None:
        """Note that a staging buffer is made."""
        self._sizes[number] = size_bytes
        fitting = tuple([free for free, size in self._free.items() if size >= size_bytes])
        self._made.append((number, fitting))

    def take(self, about: Mapping[str, Any]) -> None:
        """Note that a read takes a free buffer."""
        self._taken.append(self._frees)

    def give_back(self, number: int) -> None:
        """Note that the bytes of a buffer were taken."""
        self._free[number] = self._sizes.get(number, 0)
        self._freed_as[number] = self._frees
        self._frees += 1

    def destroy(self, number: int) -> None:
        """Check that the pool is full, and keeps no smaller buffer."""
        if number not in self._free:
            return
        if len(self._free) <= self._policy.staging_buffers:
            self._waste(
                "kept staging",
                f"a staging buffer is destroyed, though only {len(self._free)} are free, and "
                f"{self._policy.staging_buffers} may be kept",
            )
        size_bytes = self._free.pop(number)
        if not self._taken and size_bytes > min(self._free.values(), default=size_bytes):
            self._waste(
                "dropped staging",
                f"a staging buffer of {size_bytes} bytes is destroyed, but a smaller one is kept",
            )

    def encode(self) -> None:
        """Note that the commands of a batch begin."""
        self._pages = {}

    def copy(self, number: int, size_bytes: int) -> None:
        """Note that a read copies to a buffer; check that it should take this buffer."""
        if number not in self._pages:
            self._check_page(size_bytes)
            if number in self._free:
                self._check_taken(number, size_bytes)
        self._pages[number] = self._pages.get(number, 0) + size_bytes

    def submit(self) -> None:
        """Check that each free buffer was taken before another was made."""
        if not self._made:
            return
        places = {number: place for place, number in enumerate(self._pages)}
        for number, fitting in self._made:
            self._check_size(number)
            place = places.get(number, 0)
            if any(places.get(free, len(places)) > place for free in fitting):
                self._waste(
                    "staging",
                    f"a staging buffer of {self._sizes[number]} bytes is made, though a free one "
                    "fits",
                )
        self._made = []

    def map(self, number: int, size_bytes: int) -> None:
        """Check that no more is mapped than reads have copied."""
        used_bytes = self._pages.get(number, size_bytes)
        if size_bytes > used_bytes:
            self._waste(
                "map", f"{size_bytes} bytes are mapped, where reads have copied {used_bytes}"
            )

    def _is_shared(self, size_bytes: int) -> bool:
        """Whether a read of ``size_bytes`` bytes shares a staging buffer (a page) with others."""
        return self._policy.join_reads and size_bytes <= self._page_bytes // 2

    def _check_page(self, size_bytes: int) -> None:
        """Check that a read which begins a page had no room in the last one."""
        if not self._is_shared(size_bytes) or not self._pages:
            return
        last, used_bytes = next(reversed(self._pages.items()))
        if used_bytes + size_bytes <= self._sizes.get(last, 0):
            self._waste("pages", "a read has a page of its own, though the last one has room")

    def _check_taken(self, number: int, size_bytes: int) -> None:
        """Check that a read which takes a free buffer takes the smallest that fits."""
        needed_bytes = self._page_bytes if self._is_shared(size_bytes) else size_bytes
        taken_bytes = self._free.pop(number)
        frees = self._taken.popleft() if self._taken else 0
        smaller = [
            free_bytes
            for free, free_bytes in self._free.items()
            if needed_bytes <= free_bytes < taken_bytes and self._freed_as[free] < frees
        ]
        if smaller:
            self._waste(
                "taken staging",
                f"a staging buffer of {taken_bytes} bytes is taken for {needed_bytes}, though a "
                f"free one has {min(smaller)}",
            )

    def _check_size(self, number: int) -> None:
        """Check that a new staging buffer is no larger than the policy asks for."""
        used_bytes, most_bytes = self._pages.get(number, 0), self._policy.staging_class_bytes
        if self._policy.join_reads and used_bytes <= self._page_bytes:
            used_bytes = self._page_bytes
        # The pool sizes a buffer by its first read, and rounds a size that is no larger than
        # staging_class_bytes up to a power of two.  Later reads may use more bytes than that.
        least_bytes = min(used_bytes, most_bytes)
        class_bytes = max(_LEAST_BYTES, 1 << (least_bytes - 1).bit_length())
        used_bytes = max(used_bytes, class_bytes)
        if self._sizes[number] > used_bytes:
            self._waste(
                "staging size",
                f"a staging buffer of {self._sizes[number]} bytes is made, where the policy asks "
                f"for {used_bytes} at most",
            )
