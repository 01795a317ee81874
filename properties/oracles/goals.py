"""Rare events that a session must meet, because mistakes hide where they happen.

They are counted in traces.  A session that never met one of them has shown less than it seems.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress

from gpusim.errors import OutOfMemory
from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.limits import Limits
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Copy,
    Dispatch,
    DispatchIndirect,
    Free,
    Part,
    Read,
    Replay,
    Sync,
    Write,
)
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws.expected import GRID_DIMENSIONS, STAGING, STORAGE, ExpectedCopy
from properties.oracles.laws.state import About, Handler, TraceState, accepted

_ANY = frozenset(Uniforms)
_LARGE_BYTES = 4096
"""Few buffers have more bytes.

A buffer is bound through a window if it is larger than a binding may be.  If a binding may have
more bytes than this under all limits of a session, windows are too rare to be demanded.
"""
_WINDOWED = {
    PATCH_WORDS.name: "window of a large buffer patched",
    COPY_BYTES.name: "window of a large buffer copied",
}

_FLUSHED = {
    "commands": "flushed exactly at the limit",
    "bytes": "flushed at the limit in bytes",
    "groups": "flushed at the limit in workgroups",
    "queued": "host writes submitted for room",
    "early": "flushed early after a sync",
}
"""The rare events that the reason of a submit shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """What must hold for a rare event to be possible."""

    uniforms: frozenset[Uniforms] = _ANY
    """The policy must have one of these kinds of uniforms."""
    is_windowed: bool = False
    """Some buffer must be larger than the largest binding."""
    grows_ring: bool = False
    """Some scalars must take more than one slot of a ring."""
    needs_replays: bool = False
    """The target must capture and replay."""


_POOL, _RING = frozenset({Uniforms.POOLED}), frozenset({Uniforms.RING})
GOALS: Mapping[str, Goal] = {
    "uniform pool exhausted": Goal(uniforms=_POOL),
    "uniform ring exhausted": Goal(uniforms=_RING),
    "uniform slot replaced": Goal(uniforms=_POOL),
    "uniform ring grown": Goal(uniforms=_RING, grows_ring=True),
    "uniform evicted with a batch open": Goal(uniforms=frozenset({Uniforms.CACHED})),
    "staging pool exhausted": Goal(),
    "readback buffer made to measure": Goal(),
    "bind group evicted with a batch open": Goal(),
    "shape evicted": Goal(),
    "freed with a live cache entry": Goal(),
    "freed with its commands open": Goal(),
    "freed while a map was pending": Goal(),
    "flushed exactly at the limit": Goal(),
    "flushed at the limit in bytes": Goal(),
    "flushed at the limit in workgroups": Goal(),
    "host writes submitted for room": Goal(),
    "flushed early after a sync": Goal(),
    "error in mid-batch": Goal(),
    "memory budget exhausted": Goal(),
    "host write past an open batch": Goal(),
    "host write staged in the batch": Goal(),
    "upload buffer full": Goal(),
    "two reads in flight": Goal(),
    "two reads in one map": Goal(),
    "zero length": Goal(),
    "empty grid": Goal(),
    "spread grid": Goal(),
    "grid read in the batch that wrote it": Goal(),
    "part of a buffer bound": Goal(),
    "two parts of a buffer bound": Goal(),
    "unaligned bytes": Goal(),
    "window of a large buffer patched": Goal(is_windowed=True),
    "window of a large buffer copied": Goal(is_windowed=True),
    "copy in pieces": Goal(is_windowed=True),
    "copy within a buffer": Goal(),
    "replay over another buffer": Goal(needs_replays=True),
    "replay cut by a submit": Goal(uniforms=_RING, needs_replays=True),
    "nothing but host writes submitted": Goal(),
    "sync without a submit": Goal(),
}
"""The rare events by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What the programs of a session have in common."""

    uniforms: frozenset[Uniforms]
    limits: tuple[Limits, ...]
    """The limits under which programs may run."""
    payload_bytes: int
    """The size of the largest uniform payload of a kernel."""
    replays: bool = True
    """Whether the programs have captures and replays."""


def why_unreachable(name: str, scope: Scope) -> str:
    """Why no program of a session can reach a rare event; empty if one can."""
    goal = GOALS[name]
    if goal.uniforms.isdisjoint(scope.uniforms):
        return f"no policy has {' or '.join(sorted(goal.uniforms))} uniforms"
    if goal.is_windowed and all(limits.max_binding_bytes > _LARGE_BYTES for limits in scope.limits):
        return "no program is large enough for a window"
    if goal.grows_ring and all(
        limits.uniform_offset_alignment_bytes >= scope.payload_bytes for limits in scope.limits
    ):
        return "the scalars of every kernel fit one slot of a ring"
    if goal.needs_replays and not scope.replays:
        return "the target does not replay"
    return ""


class Goals:
    """Counts the rare events of one trace."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self.seen: Counter[str] = Counter()
        self._mapped = 0
        """The number of pending maps."""
        self._pages: dict[int, bool] = {}
        """The staging buffers that the open batch copies to, and whether more than once."""
        self._submits = 0
        self._reads = 0

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "op": self._op,
            "create_buffer": self._create,
            "encode": self._encode,
            "submit": self._submit,
            "dispatch": self._dispatch,
            "copy": self._copy,
            "write_buffer": self._write,
            "map": self._map,
            "take": self._take,
            "delivered": self._delivered,
            "raised": self._raised,
            **{accepted(kind): self._touched for kind, verb in VERBS.items() if verb.spans},
            accepted(Read): self._has_read,
            accepted(Copy): self._copied,
            accepted(Dispatch): self._dispatched,
            accepted(DispatchIndirect): self._bound,
            accepted(Replay): self._replayed,
            accepted(Free): self._freed,
            accepted(Sync): self._synced,
            "uniforms.exhausted": self._uniforms_exhausted,
            "uniforms.evicted": self._uniforms_evicted,
            "bind_groups.evicted": self._group_evicted,
            "bind_groups.invalidated": self._group_invalidated,
            "shapes.evicted": self._shape_evicted,
            "staging.exhausted": self._staging_exhausted,
        }

    def _op(self, about: About) -> None:
        self._submits = self._state.submits
        if type(about["op"]) is Free and about["op"].buffer in self._state.names:
            number = self._state.names[about["op"].buffer].number
            if self._state.open and any(
                touch[0] == number for expected in self._state.open for touch in expected.touches
            ):
                self.seen["freed with its commands open"] += 1

    def _create(self, about: About) -> None:
        size_bytes = about["size_bytes"]
        if about["role"] == STAGING and size_bytes & (size_bytes - 1):
            self.seen["readback buffer made to measure"] += 1

    def _encode(self, about: About) -> None:
        reason, count = about["reason"], about["commands"]
        if reason in _FLUSHED:
            self.seen[_FLUSHED[reason]] += 1
        if not count:
            self.seen["nothing but host writes submitted"] += 1
        op = self._state.op
        if reason == "write" and isinstance(op, Write):
            # If the write is small enough to be staged, the upload buffer had no room for it.
            staged = self._state.policy.flush_on_conflict
            small = len(op.data) <= self._state.policy.staged_write_bytes
            if staged and small:
                self.seen["upload buffer full"] += 1

    def _submit(self, about: About) -> None:
        self.seen["two reads in one map"] += [*self._pages.values()].count(True)
        self._pages.clear()
        for expected, _ in self._state.carried:
            if type(expected) is ExpectedCopy and expected.pieces > 1:
                self.seen["copy in pieces"] += 1
        if type(self._state.op) is Replay and self._state.policy.uniforms is Uniforms.RING:
            started = [expected.started for expected in self._state.expected_ops]
            if any(started) and not all(started):
                self.seen["replay cut by a submit"] += 1

    def _dispatch(self, about: About) -> None:
        if len(about["groups"]) < GRID_DIMENSIONS and self._was_written(about["groups"][0]):
            self.seen["grid read in the batch that wrote it"] += 1
        if about["kernel"] not in _WINDOWED:
            return
        self.seen["unaligned bytes"] += 1
        for number, _, size_bytes in about["ranges"]:
            known = self._state.buffers.get(number)
            if known is not None and known.role == STORAGE and size_bytes < known.size_bytes:
                self.seen[_WINDOWED[about["kernel"]]] += 1

    def _copy(self, about: About) -> None:
        if about["target_role"] == STAGING:
            self._pages[about["target"]] = about["target"] in self._pages
        source = self._state.buffers.get(about["source"])
        if source is not None and source.content is not None:
            self.seen["host write staged in the batch"] += 1

    def _write(self, about: About) -> None:
        if about["role"] == "storage" and self._is_batch_open():
            self.seen["host write past an open batch"] += 1

    def _map(self, about: About) -> None:
        self._mapped += 1

    def _take(self, about: About) -> None:
        self._mapped -= 1

    def _delivered(self, about: About) -> None:
        self._reads -= 1

    def _raised(self, about: About) -> None:
        state = self._state
        if state.open:
            self.seen["error in mid-batch"] += 1
        is_budget = about["error"] == OutOfMemory.__name__ and not state.failed_verb
        if is_budget and type(state.op) is Alloc:
            self.seen["memory budget exhausted"] += 1

    def _has_read(self, about: About) -> None:
        op = self._state.op
        assert isinstance(op, Read)
        self._reads += 1
        if self._reads > 1:
            self.seen["two reads in flight"] += 1
        self._touched(about)

    def _touched(self, about: About) -> None:
        op = self._state.op
        assert op is not None
        if not any([span.of(op)[2] for span in VERBS[type(op)].spans]):
            self.seen["zero length"] += 1

    def _copied(self, about: About) -> None:
        op = self._state.op
        assert isinstance(op, Copy)
        if op.size_bytes and op.source == op.target:
            self.seen["copy within a buffer"] += 1
        self._touched(about)

    def _was_written(self, number: int) -> bool:
        """Whether a command of the batch writes buffer ``number``."""
        for kind, command in self._state.batch:
            if kind == "copy" and command["target"] == number:
                return True
            kernel = self._state.context.kernel(command["kernel"]) if kind == "dispatch" else None
            written = () if kernel is None else compress(command["ranges"], kernel.writes)
            if any(bound == number for bound, _, _ in written):
                return True
        return False

    def _bound(self, about: About) -> None:
        """Count dispatches that bind a part of a buffer, and those that bind two of its parts."""
        op = self._state.op
        assert isinstance(op, AnyDispatch)
        parts = [bound for bound in op.buffers if isinstance(bound, Part)]
        if parts:
            self.seen["part of a buffer bound"] += 1
        if len({part.buffer for part in parts}) < len(parts):
            self.seen["two parts of a buffer bound"] += 1

    def _dispatched(self, about: About) -> None:
        self._bound(about)
        op = self._state.op
        assert isinstance(op, Dispatch)
        if 0 in op.grid:
            self.seen["empty grid"] += 1
        elif max(op.grid) > self._state.context.limits.max_groups_per_dimension:
            self.seen["spread grid"] += 1

    def _replayed(self, about: About) -> None:
        op = self._state.op
        assert isinstance(op, Replay)
        if any(old != new for old, new in op.bindings):
            self.seen["replay over another buffer"] += 1

    def _freed(self, about: About) -> None:
        if self._mapped > 0:
            self.seen["freed while a map was pending"] += 1

    def _synced(self, about: About) -> None:
        if self._state.submits == self._submits:
            self.seen["sync without a submit"] += 1

    def _uniforms_exhausted(self, about: About) -> None:
        kind = "ring" if self._state.policy.uniforms is Uniforms.RING else "pool"
        self.seen[f"uniform {kind} exhausted"] += 1

    def _uniforms_evicted(self, about: About) -> None:
        uniforms = self._state.policy.uniforms
        if uniforms is Uniforms.POOLED:
            self.seen["uniform slot replaced"] += 1
        elif uniforms is Uniforms.RING:
            self.seen["uniform ring grown"] += 1
        elif self._is_batch_open():
            self.seen["uniform evicted with a batch open"] += 1

    def _group_evicted(self, about: About) -> None:
        if self._is_batch_open():
            self.seen["bind group evicted with a batch open"] += 1

    def _group_invalidated(self, about: About) -> None:
        self.seen["freed with a live cache entry"] += 1

    def _shape_evicted(self, about: About) -> None:
        self.seen["shape evicted"] += 1

    def _staging_exhausted(self, about: About) -> None:
        self.seen["staging pool exhausted"] += 1

    def _is_batch_open(self) -> bool:
        return any(expected.position != self._state.position for expected in self._state.open)
