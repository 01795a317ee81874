"""Clients of foreign targets: each uses what its target promises, and no more.

A client wraps a target, and must leave the same history as the plain client.  No op can pass host
arrays, for instance, or begin a sync while another is under way.  A client does such things through
the target's doors (``targets/doors``).  Clients of our own runtime are in ``client``.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count

from gpusim.errors import InvalidHandle
from gpusim.ops import Alloc, Free, Op, Read, Sync, Write
from properties.clients.client import BrokenPromise, Forwarding
from properties.model.capabilities import Arrival, Capabilities, Refusal
from properties.model.target import Delivery, Target
from properties.targets.doors import SHARED_BYTES, doors_of


class ForeignClient(Forwarding):
    """Drives a target by its promises, and through its doors."""

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target)
        self.promises = promises
        self.doors = doors_of(target)


class SpoilingClient(ForeignClient):
    """Overwrites the host array of each write when the call has returned."""

    def write(self, op: Write) -> None:
        self.doors.write_spoilt(op)


class EarlyClient(ForeignClient):
    """Asks for values before the next sync: some at once, some later and in another order."""

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target, promises)
        self._reads: list[_First] = []

    def read(self, op: Read) -> Delivery | None:
        """Read; by turns ask for its value, for none, for that of the read before, or for all."""
        delivery = self.target.perform(op)
        if delivery is None:
            return None
        self._reads.append(_First(delivery))
        by_turns: tuple[list[_First], ...] = (
            self._reads[::-1],
            self._reads[-1:],
            [],
            self._reads[-2:-1],
        )
        for asked in by_turns[len(self._reads) % len(by_turns)]:
            # If refusals are promised loosely, a refused read may raise anything.
            with suppress(*[Exception] * self.promises.is_loose):
                asked.result()
        return self._reads[-1]


class _First:
    """A read that keeps the value that it gave first."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._data: bytes | None = None

    def result(self) -> bytes:
        """The value; the target is asked only once."""
        if self._data is None:
            self._data = self._delivery.result()
        return self._data

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """See ``Delivery``."""
        self._delivery.add_done_callback(lambda _: callback(self))


class OneArrayClient(ForeignClient):
    """Issues each read twice, the second time into one host array that all reads share.

    The value of the last read before a sync is taken from that array.
    """

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target, promises)
        self._last: _Twice | None = None

    def read(self, op: Read) -> Delivery | None:
        """Read twice.  The second read overwrites the shared array.

        So the read before this one gives the value of its own array, if it has not given one yet.
        """
        delivery = self.target.perform(op)
        if delivery is None or not 0 <= op.size_bytes <= SHARED_BYTES:
            return delivery
        again = self.doors.read_into(replace(op, result=f"{op.result}_again"), "shared")
        if self._last is not None:
            self._last.shared = None
        self._last = _Twice(delivery, again)
        return self._last

    def sync(self, op: Sync) -> None:
        """Sync; then the shared array holds the value of the last read."""
        self.target.perform(op)
        self._last = None


class _Twice:
    """A read into an array of its own, and into the shared array, which a later read may fill."""

    def __init__(self, own: Delivery, shared: Delivery) -> None:
        self._own = own
        self.shared: Delivery | None = shared
        """The read into the shared array; None once a later read has filled that array."""
        self._data: bytes | None = None

    def result(self) -> bytes:
        """The value, taken at the first call.

        It is taken from the shared array, unless a later read has filled that array since.
        """
        if self._data is None and self.shared is not None:
            self._data = bytes(self.shared.result())
        return self._own.result() if self._data is None else self._data

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        """Call back for the read into an array of its own, if the target calls back at all."""
        self._own.add_done_callback(lambda _: callback(self))


class ReclaimingClient(ForeignClient):
    """Issues each read twice, the second time into an array that is lent until the next sync.

    When that sync has returned or raised, the client takes the array back, and nothing may be
    stored there any more.  After each later sync, and at the close, the client looks whether the
    array was changed meanwhile.  If so, the close raises.
    """

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target, promises)
        self._numbers = count()
        self._lent: list[str] = []
        self._taken: list[str] = []
        self._late: Exception | None = None

    def read(self, op: Read) -> Delivery | None:
        """Read, and read again into the lent array."""
        delivery = self.target.perform(op)
        if delivery is None or not 0 <= op.size_bytes <= SHARED_BYTES:
            return delivery
        if not self._lent:
            self._lent.append(f"lent{next(self._numbers)}")
        with suppress(*[Exception] * self.promises.is_loose):
            self.doors.read_into(replace(op, result=f"{op.result}_again"), self._lent[0])
        return delivery

    def sync(self, op: Sync) -> None:
        """Sync; then take the array back."""
        try:
            self.target.perform(op)
        finally:
            self._take_back()

    def close(self) -> None:
        """Look a last time, then close; raises if an array was changed after it was taken back."""
        with suppress(Exception):
            self.target.perform(Sync())
        self._take_back()
        try:
            super().close()
        finally:
            if self._late is not None:
                raise self._late

    def _take_back(self) -> None:
        self._taken += self._lent
        self._lent.clear()
        for array in self._taken:
            try:
                self.doors.reclaim(array)
            except Exception as error:
                self._late = self._late or error


class OverlappingClient(ForeignClient):
    """Begins a sync before every read, and one before the program's first, third, fifth ... sync.

    It waits for these syncs of its own only when the program's next sync, which begins after them,
    has returned.
    """

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target, promises)
        self._numbers = count()
        self._begun: list[str] = []
        self._syncs = count()
        self._is_over = False
        """Whether a sync of the program has returned since the client last waited for its own."""

    def read(self, op: Read) -> Delivery | None:
        """Begin a sync, then read.

        The sync begins before the read, so the sync need not deliver the read's value.  After a
        sync of the program, first wait for the client's earlier syncs.
        """
        if self._is_over:
            self._end()
        self.doors.begin_sync(self._new_name())
        return self.target.perform(op)

    def sync(self, op: Sync) -> None:
        """Sync, without waiting for the syncs that the client began earlier."""
        if next(self._syncs) % 2:
            self.target.perform(op)
        else:
            self.doors.sync_beside(self._new_name())
        self._is_over = True

    def close(self) -> None:
        """See ``Target``."""
        self._end()
        super().close()

    def _new_name(self) -> str:
        """The name of a sync that is about to begin."""
        self._begun.append(f"s{next(self._numbers)}")
        return self._begun[-1]

    def _end(self) -> None:
        for name in self._begun:
            # If refusals are promised loosely, a sync may raise the error of an earlier op.
            with suppress(*[Exception] * self.promises.is_loose):
                self.doors.end_sync(name)
        self._begun.clear()
        self._is_over = False


class StaleClient(ForeignClient):
    """Uses a freed handle after each alloc and each write.

    The runtime may have given the handle of a freed buffer to a new buffer.
    """

    def __init__(self, target: Target, promises: Capabilities) -> None:
        super().__init__(target, promises)
        self._turns = count()
        self._sizes: dict[str, int] = {}
        self._freed: list[str] = []
        self._stale: list[str] = []
        """The handles that were freed before the last alloc."""
        self._may_tell = False
        """Whether a freed handle was accepted, so that the next sync may still report it."""

    def alloc(self, op: Alloc) -> None:
        """Allocate; then use a freed handle."""
        self.target.perform(op)
        self._sizes[op.buffer] = op.size_bytes
        self._stale = [*self._freed]
        self._use()

    def write(self, op: Write) -> None:
        """Write; then use a freed handle."""
        self.target.perform(op)
        self._use()

    def free(self, op: Free) -> None:
        """Free; the handle is stale after the next alloc."""
        self.target.perform(op)
        if op.buffer not in self._freed:
            self._freed.append(op.buffer)

    def sync(self, op: Sync) -> None:
        """Sync.  If it raises what may be the error of this client's own op, sync once more."""
        may_tell, self._may_tell = self._may_tell, False
        try:
            self.target.perform(op)
        except Exception:
            if not may_tell:
                raise
            self.target.perform(op)

    def _use(self) -> None:
        if not self._stale:
            return
        turn = next(self._turns)
        name = self._stale[-1 - turn // 2 % len(self._stale)]
        op: Op = Free(buffer=name)
        # Only the handle is wrong: the bytes would fit.
        if turn % 3 < 2 and self.promises.write_size_bytes <= self._sizes[name]:
            op = Write(buffer=name, offset=0, data=b"\xee" * self.promises.write_size_bytes)
        try:
            self.target.perform(op)
        except InvalidHandle:
            return
        except Exception:
            if self.promises.invalid_handle is Refusal.EXACT:
                raise
            return
        if self.promises.invalid_handle is Refusal.EXACT:
            raise BrokenPromise(f"a {op.verb} with the freed handle of {name} is accepted")
        self._may_tell = True


STALE = "stale"
"""The name of the client that makes invalid calls of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """A client of foreign targets, what it asks for, and the promise that it needs."""

    make: Callable[[Target, Capabilities], Target]
    asks_for: str
    needs: str
    suits: Callable[[Capabilities], bool]


def _says_late(promises: Capabilities) -> bool:
    """Whether a sync may report earlier ops that were refused.

    Then a sync of the client's own could take the error that the program's sync must raise.
    """
    return Refusal.NEXT_SYNC in promises.refusals


FOREIGN_CLIENTS: Mapping[str, Caller] = {
    "spoiling": Caller(
        make=SpoilingClient,
        asks_for="a host array that is spoilt after the write",
        needs="host_arrays",
        suits=lambda promises: promises.host_arrays,
    ),
    "early": Caller(
        make=EarlyClient,
        asks_for="values before a sync",
        needs="delivery=ticket",
        suits=lambda promises: promises.delivery is Arrival.TICKET and not _says_late(promises),
    ),
    "one_array": Caller(
        make=OneArrayClient,
        asks_for="two reads into one host array",
        needs="delivery=array",
        suits=lambda promises: promises.delivery is Arrival.ARRAY,
    ),
    "reclaiming": Caller(
        make=ReclaimingClient,
        asks_for="arrays that are the caller's again once a sync has ended",
        needs="delivery=array and releases_arrays",
        suits=lambda promises: promises.delivery is Arrival.ARRAY and promises.releases_arrays,
    ),
    "overlapping": Caller(
        make=OverlappingClient,
        asks_for="syncs that overlap",
        needs="concurrent_syncs",
        suits=lambda promises: promises.concurrent_syncs and not _says_late(promises),
    ),
    STALE: Caller(
        make=StaleClient,
        asks_for="calls with freed handles of the runtime",
        needs="handles, and invalid_handle=contained or exact",
        suits=lambda promises: (
            promises.handles and promises.invalid_handle in (Refusal.CONTAINED, Refusal.EXACT)
        ),
    ),
}
"""The clients of foreign targets by name."""


def suiting(promises: Capabilities) -> tuple[str, ...]:
    """The names of the clients that suit every program for a target with these promises."""
    return tuple(name for name, caller in FOREIGN_CLIENTS.items() if caller.suits(promises))


def asked_by(promises: Capabilities) -> tuple[str, ...]:
    """The names of the clients that suit some programs for a target with these promises.

    Some suit only programs that keep to ``promises.without_late()``.
    """
    some = {*suiting(promises), *suiting(promises.without_late())}
    return tuple(name for name in FOREIGN_CLIENTS if name in some)


def not_asked(promises: Capabilities) -> list[str]:
    """What no client asks of a target with ``promises``, each with the promise that is missing."""
    asked = asked_by(promises)
    return [
        f"{caller.asks_for} ({caller.needs})"
        for name, caller in FOREIGN_CLIENTS.items()
        if name not in asked
    ]
