"""Doors: what a caller can do with a target beyond the ops of a program.

A program has no host arrays and no syncs that overlap, because it is data.  If a target promises a
door, it can be driven through the door: in this process by methods of an adapter, in another
process by special lines (``wire``).  Only clients and the server of the wire use doors.
"""

from dataclasses import replace
from typing import Any, Protocol

from gpusim.ops import Read, Write
from properties.model.target import Delivery, PendingSync, Target

SHARED_BYTES = 4096
"""The size of a host array that several reads share."""
SPOILT = 0xEE
"""The byte that fills a spoilt array."""


class StoredLate(Exception):
    """A host array was changed after its caller took it back."""


class Doors(Protocol):
    """The doors of a target; a method may be called only if its promise was given."""

    def write_spoilt(self, op: Write) -> None:
        """Write from an array that is overwritten after the call (``host_arrays``)."""
        ...

    def read_into(self, op: Read, array: str) -> Delivery:
        """Read into the start of the host array of that name (``delivery=array``).

        The array has ``SHARED_BYTES`` bytes, and is made when it is first named.
        """
        ...

    def reclaim(self, array: str) -> None:
        """Overwrite the host array of that name, into which no read is under way any more.

        Needs ``releases_arrays``, and may be called again.

        Raises:
            StoredLate: something else has changed the array since the last call.
        """
        ...

    def begin_sync(self, name: str) -> None:
        """Begin a sync under a new name, and do not wait for it (``concurrent_syncs``)."""
        ...

    def sync_beside(self, name: str) -> None:
        """Begin a sync under a new name, then another at once, and wait for the second only."""
        ...

    def end_sync(self, name: str) -> None:
        """Wait for the sync of that name."""
        ...


class AdapterDoors:
    """The doors of an adapter in this process."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self._arrays: dict[str, bytearray] = {}
        self._reclaimed: set[str] = set()
        self._syncs: dict[str, PendingSync] = {}

    def write_spoilt(self, op: Write) -> None:
        """See ``Doors``."""
        array: Any = bytearray(op.data)
        try:
            self._adapter.perform(replace(op, data=array))
        finally:
            array[:] = bytes((SPOILT,)) * len(array)

    def read_into(self, op: Read, array: str) -> Delivery:
        """See ``Doors``."""
        shared = self._arrays.setdefault(array, bytearray(SHARED_BYTES))
        self._reclaimed.discard(array)
        delivery: Delivery = self._adapter.perform_into(op, shared)
        return delivery

    def reclaim(self, array: str) -> None:
        """See ``Doors``."""
        shared, spoilt = self._arrays[array], bytes((SPOILT,)) * SHARED_BYTES
        is_kept = array not in self._reclaimed or shared == spoilt
        self._reclaimed.add(array)
        shared[:] = spoilt
        if not is_kept:
            raise StoredLate(f"array {array} was changed after its caller took it back")

    def begin_sync(self, name: str) -> None:
        """See ``Doors``."""
        self._syncs[name] = self._adapter.begin_sync()

    def sync_beside(self, name: str) -> None:
        """See ``Doors``."""
        self.begin_sync(name)
        self._adapter.begin_sync().result()

    def end_sync(self, name: str) -> None:
        """See ``Doors``."""
        self._syncs.pop(name).result()


def doors_of(target: Target) -> Doors:
    """The doors of ``target``."""
    doors: Any = target if hasattr(target, "write_spoilt") else AdapterDoors(target)
    return doors  # type: ignore[no-any-return]
