"""Rare events: what a session should have met, or it has not looked where mistakes hide.

Each is a mark that may happen, and a session in which one never did has shown
less than it seems.
"""

from collections import Counter

from gpusim.program import Copy, Dispatch, Free, Op, Read, Sync, Write
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws.scene import STAGING, About, Handler, Scene

PROBES = (
    "uniform pool exhausted",
    "uniform ring exhausted",
    "staging pool exhausted",
    "uniform slot replaced",
    "uniform evicted with a batch open",
    "bind group evicted with a batch open",
    "shape evicted",
    "freed with a live cache entry",
    "freed with its commands open",
    "freed while a map was pending",
    "flushed exactly at the limit",
    "flushed at the limit in bytes",
    "flushed early after a sync",
    "error in mid-batch",
    "host write past an open batch",
    "host write staged in the batch",
    "two reads in flight",
    "two reads in one map",
    "zero length",
    "empty grid",
    "spread grid",
    "unaligned bytes",
    "copy within a buffer",
    "nothing but host writes submitted",
    "sync without a submit",
)


class Probes:
    """Counts the rare events of one trace."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.seen: Counter[str] = Counter()
        self._mapped = 0
        """Maps under way."""
        self._pages: Counter[int] = Counter()
        self._submits = 0
        self._reads = 0
        self.handlers: dict[str, Handler] = {
            "op": self._op,
            "encode": self._encode,
            "submit": self._submit,
            "dispatch": self._dispatch,
            "copy": self._copy,
            "write_buffer": self._write,
            "map": self._map,
            "take": self._take,
            "delivered": self._delivered,
            "outcome": self._outcome,
            "uniforms.exhausted": self._uniforms_exhausted,
            "uniforms.evicted": self._uniforms_evicted,
            "bind_groups.evicted": self._group_evicted,
            "bind_groups.invalidated": self._group_invalidated,
            "shapes.evicted": self._shape_evicted,
            "staging.exhausted": self._staging_exhausted,
        }

    def _op(self, about: About) -> None:
        self._submits = self._scene.submits
        if type(about["op"]) is Free and about["op"].buffer in self._scene.names:
            number = self._scene.names[about["op"].buffer].number
            if self._scene.open and any(
                touch[0] == number for item in self._scene.open for touch in item.touches
            ):
                self.seen["freed with its commands open"] += 1

    def _encode(self, about: About) -> None:
        reason, count = about["reason"], about["commands"]
        names = {
            "commands": "flushed exactly at the limit",
            "bytes": "flushed at the limit in bytes",
            "early": "flushed early after a sync",
        }
        if reason in names:
            self.seen[names[reason]] += 1
        if not count:
            self.seen["nothing but host writes submitted"] += 1

    def _submit(self, about: About) -> None:
        self.seen["two reads in one map"] += sum(count > 1 for count in self._pages.values())
        self._pages.clear()

    def _dispatch(self, about: About) -> None:
        if about["kernel"].startswith("gpusim_"):
            self.seen["unaligned bytes"] += 1

    def _copy(self, about: About) -> None:
        if about["target_role"] == STAGING:
            self._pages[about["target"]] += 1
        source = self._scene.buffers.get(about["source"])
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

    def _outcome(self, about: About) -> None:
        scene = self._scene
        op = scene.op
        if about["error"] is not None:
            self.seen["error in mid-batch"] += bool(scene.open)
            return
        if op is not None:
            self._note_op(op)

    def _note_op(self, op: Op) -> None:
        match op:
            case Read():
                self._reads += 1
                self.seen["two reads in flight"] += self._reads > 1
                self.seen["zero length"] += op.size_bytes == 0
            case Write():
                self.seen["zero length"] += not op.data
            case Copy():
                self.seen["zero length"] += op.size_bytes == 0
                self.seen["copy within a buffer"] += op.source == op.target and op.size_bytes > 0
            case Dispatch():
                self.seen["empty grid"] += 0 in op.grid
                limit = self._scene.setting.limits.max_groups_per_dimension
                self.seen["spread grid"] += max(op.grid) > limit and 0 not in op.grid
            case Free():
                self.seen["freed while a map was pending"] += self._mapped > 0
            case Sync():
                self.seen["sync without a submit"] += self._scene.submits == self._submits

    def _uniforms_exhausted(self, about: About) -> None:
        kind = "ring" if self._scene.policy.uniforms is Uniforms.RING else "pool"
        self.seen[f"uniform {kind} exhausted"] += 1

    def _uniforms_evicted(self, about: About) -> None:
        if self._scene.policy.uniforms is not Uniforms.CACHED:
            self.seen["uniform slot replaced"] += 1
        elif self._is_batch_open():
            self.seen["uniform evicted with a batch open"] += 1

    def _group_evicted(self, about: About) -> None:
        self.seen["bind group evicted with a batch open"] += self._is_batch_open()

    def _group_invalidated(self, about: About) -> None:
        self.seen["freed with a live cache entry"] += 1

    def _shape_evicted(self, about: About) -> None:
        self.seen["shape evicted"] += 1

    def _staging_exhausted(self, about: About) -> None:
        self.seen["staging pool exhausted"] += 1

    def _is_batch_open(self) -> bool:
        return any(item.position != self._scene.position for item in self._scene.open)
