"""Laws of batches: their size, the reason of each submit, and the uniforms at the submit."""

import math
from collections.abc import Mapping, Sequence

from gpusim.kernels import COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    GRID_BYTES,
    HOST_WRITES,
    Dispatch,
    DispatchIndirect,
    Flush,
    Free,
    Replay,
    Sync,
)
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import (
    GRID_DIMENSIONS,
    STAGING,
    STORAGE,
    UNIFORM,
    Bytes,
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedOp,
    ExpectedWrite,
    counted_bytes,
)
from properties.oracles.laws.matching import content_of
from properties.oracles.laws.state import About, Handler, TraceState, accepted

_OPS_OF = {
    "asked": (Flush,),
    "write": HOST_WRITES,
    "free": (Free,),
    "sync": (Sync, Dispatch, DispatchIndirect, Replay),
}
"""For each of these reasons, the ops that may give it."""


class Batches:
    """Checks each batch against the policy."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._reason = ""
        self._queued_bytes = self._queued_before = 0
        """Bytes of host writes that wait for a submit: now, and before the last write or submit."""
        self._commands = -1
        """The number of commands in the open encoder; -1 without one."""
        self._early = math.inf
        """How many commands make a batch be submitted early; infinite if none do, or if unknown."""
        self._synced({})

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "encode": self._encode,
            "submit": self._submit,
            "write_buffer": self._write,
            "failed": self._failed,
            "closed": self._closed,
            accepted(Sync): self._synced,
        }

    def _encode(self, about: About) -> None:
        state = self._state
        state.checked["C5"] += 1
        if self._commands >= 0:
            state.report(laws.C5, "an encoder was begun before the last one was submitted")
        self._reason, self._commands = about["reason"], about["commands"]

    def _submit(self, about: About) -> None:
        state, count = self._state, len(self._state.batch)
        if self._commands < 0:
            state.report(laws.C5, "a command buffer was submitted twice")
        elif self._commands != count:
            state.report(laws.C5, f"{self._commands} commands were encoded and {count} submitted")
        self._commands = -1
        state.checked["C2"] += 1
        if not count and not state.owes_submit:
            state.report(laws.C2, f"a batch of nothing was submitted ({self._reason})")
        self._check_limits(count)
        self._check_reason(count)
        if self._reason == "early":
            self._early *= 2
        self._queued_before, self._queued_bytes = self._queued_bytes, 0

    def _synced(self, about: About) -> None:
        first = self._state.policy.first_batch
        hidden = self._state.failures or self._state.policy.debug_submit_each
        self._early = math.inf if hidden or first is None else first

    def _failed(self, about: About) -> None:
        self._early = math.inf
        if about["verb"] in ("encode", "submit"):
            self._commands = -1
        if about["verb"] in ("submit", "write_buffer"):
            self._queued_bytes = self._queued_before

    def _closed(self, about: About) -> None:
        if self._commands >= 0:
            self._state.report(laws.C5, "an encoder was never submitted")

    def _check_limits(self, count: int) -> None:
        state, policy = self._state, self._state.policy
        limit = policy.batch_commands
        before = self._before_last_op(count)
        if limit is not None:
            state.checked["C4"] += 1
            if before >= max(limit, 1):
                state.report(laws.C4, f"a batch of {count} commands, where {limit} is the limit")
        if before >= self._early:
            state.report(
                laws.C4,
                f"a batch of {count} commands, where {self._early} is the limit soon after a sync",
            )
        if policy.batch_bytes is not None and before > 0:
            state.checked["C4"] += 1
            size_bytes = sum([self._bytes_of(*command) for command in state.batch[:before]])
            if size_bytes >= policy.batch_bytes:
                state.report(
                    laws.C4,
                    f"a batch had {size_bytes} bytes before its last command, where "
                    f"batch_bytes={policy.batch_bytes} is the limit",
                )
        if policy.batch_groups is not None and before > 0:
            state.checked["C4"] += 1
            groups = _groups_of(state.batch[:before])
            if groups >= policy.batch_groups:
                state.report(
                    laws.C4,
                    f"a batch had {groups} workgroups before its last command, where "
                    f"batch_groups={policy.batch_groups} is the limit",
                )

    def _before_last_op(self, count: int) -> int:
        """The number of commands before those of the last op.

        A staged write may be two commands, between which no submit may come: the copy of its words,
        then the patch of its edges.
        """
        if count < 2 or self._state.batch[-2][0] != "copy":
            return count - 1
        source = self._state.buffers.get(self._state.batch[-2][1]["source"])
        return count - (2 if source is not None and source.content is not None else 1)

    def _check_reason(self, count: int) -> None:
        state, reason = self._state, self._reason
        state.checked["C7"] += 1
        kinds = _OPS_OF.get(reason)
        # A close waits as a sync does, and gives the same reason.
        if (
            kinds is not None
            and not isinstance(state.op, kinds)
            and not (reason == "sync" and state.is_closing)
        ):
            state.report(
                laws.C7, f"a batch was submitted for {reason!r}, and no op gave that reason"
            )
        elif not self._holds(reason, count):
            state.report(
                laws.C7, f"a batch of {count} commands was submitted for {reason!r}, too early"
            )

    def _holds(self, reason: str, count: int) -> bool:
        policy, batch = self._state.policy, self._state.batch
        match reason:
            case "commands":
                return self._is_full(count)
            case "early":
                if self._early < math.inf:
                    return count >= self._early
                return policy.first_batch is not None and count >= policy.first_batch
            case "read":
                return any(about.get("target_role") == STAGING for _, about in batch)
            case "bytes":
                size_bytes = sum([self._bytes_of(*command) for command in batch])
                return policy.batch_bytes is not None and size_bytes >= policy.batch_bytes
            case "groups":
                most = policy.batch_groups
                return most is not None and _groups_of(batch) >= most
            case "queued":
                return self._is_queue_full()
            case "uniforms":
                return self._lacks_uniforms()
            case "write":
                return self._cannot_wait()
            case "free":
                return not policy.defer_frees
            case "asked" | "sync":
                return True
            case "debug":
                return policy.debug_submit_each
            case _:
                return reason == "close" and self._state.is_closing

    def _write(self, about: About) -> None:
        """Check that no more host writes wait for a submit than the policy allows."""
        most = self._state.policy.queued_write_bytes
        self._queued_before = self._queued_bytes
        if about["role"] != STORAGE or most is None:
            return
        size_bytes = counted_bytes(len(about["data"]), most)
        self._state.checked["C4"] += 1
        if self._queued_bytes and self._queued_bytes + size_bytes > most:
            self._state.report(
                laws.C4,
                f"{self._queued_bytes} bytes of host writes wait for a submit, {size_bytes} more "
                f"come, and {most} is the limit",
            )
        self._queued_bytes += size_bytes

    def _is_queue_full(self) -> bool:
        """Whether the current write, or its next piece, exceeds the limit of waiting writes."""
        most, expected = self._state.policy.queued_write_bytes, self._state.expected
        if most is None or type(expected) is not ExpectedWrite or not self._queued_bytes:
            return False
        size_bytes = counted_bytes(len(expected.op.data) + 2 * WORD_BYTES, most)
        return self._queued_bytes + size_bytes > most

    def _lacks_uniforms(self) -> bool:
        """Whether the batch has no room for the uniforms of the next dispatch."""
        state, policy = self._state, self._state.policy
        sizes = [self._uniform_bytes(*command) for command in state.batch]
        if policy.uniforms is not Uniforms.RING:
            used = sum([size_bytes > 0 for size_bytes in sizes])
            return policy.uniforms is Uniforms.POOLED and used == policy.uniform_slots
        # A trace does not show which dispatch of a replay comes next, so it may be the largest.
        sizes.append(max([*map(_uniforms_of, state.expected_ops)], default=0))
        rings = [known.size_bytes for known in state.live.values() if known.role == UNIFORM]
        most_bytes = max([policy.uniform_ring_bytes, *rings])
        alignment_bytes = state.context.limits.uniform_offset_alignment_bytes
        return sum([_aligned(each, alignment_bytes) for each in sizes]) > most_bytes

    def _cannot_wait(self) -> bool:
        """Whether the current write would overtake a command, and cannot be staged."""
        state, policy, expected = self._state, self._state.policy, self._state.expected
        if type(expected) is not ExpectedWrite:
            return True
        if policy.flush_on_conflict and not self._overtakes(expected):
            return False
        # The most bytes that are staged as whole words; a dispatch patches the other bytes.
        size_bytes = _aligned(len(expected.op.data), WORD_BYTES)
        uploads = [number for number, known in state.live.items() if known.role == Role.UPLOAD]
        used = [about["size_bytes"] for _, about in state.batch if about.get("source") in uploads]
        has_room = sum(used) + size_bytes <= policy.upload_bytes
        return size_bytes > policy.staged_write_bytes or not has_room

    def _overtakes(self, write: ExpectedWrite) -> bool:
        """Whether commands of the batch touch the words of ``write``, or bytes before and after."""
        touched = [each for command in self._state.batch for each in _touched(*command)]
        spans = [(start, size) for number, start, size in touched if number == write.target.number]
        begin = min([start for start, _ in spans], default=math.inf)
        end = max([start + size_bytes for start, size_bytes in spans], default=0)
        first = write.op.offset // WORD_BYTES * WORD_BYTES
        last = _aligned(write.op.offset + len(write.op.data), WORD_BYTES)
        return begin < last and first < end

    def _is_full(self, count: int) -> bool:
        limit = self._state.policy.batch_commands
        return limit is not None and count >= max(limit, 1)

    def _bytes_of(self, kind: str, about: About) -> int:
        return about["size_bytes"] if kind == "copy" else self._uniform_bytes(kind, about)

    def _uniform_bytes(self, kind: str, about: About) -> int:
        kernel = self._state.context.kernel(about["kernel"]) if kind == "dispatch" else None
        return 0 if kernel is None else kernel.uniform_bytes


def _groups_of(batch: Sequence[tuple[str, About]]) -> int:
    """Workgroups of a batch.  A grid in a buffer (two numbers: its place) does not count."""
    grids = [about["groups"] for kind, about in batch if kind == "dispatch"]
    return sum(math.prod(grid) for grid in grids if len(grid) == 3)


def _touched(kind: str, about: About) -> list[Bytes]:
    """The bytes that a command of a batch may read or write."""
    if kind == "copy":
        sides = ("source", "target")
        return [(about[side], about[f"{side}_offset"], about["size_bytes"]) for side in sides]
    groups = about["groups"]
    return [*about["ranges"], *([(*groups, GRID_BYTES)] if len(groups) < GRID_DIMENSIONS else [])]


def _uniforms_of(expected: ExpectedOp) -> int:
    """The uniform bytes of the dispatch that carries out ``expected``, or moves bytes for it."""
    kernel: Kernel = COPY_BYTES if isinstance(expected, ExpectedCopy) else PATCH_WORDS
    return (expected.kernel if isinstance(expected, ExpectedDispatch) else kernel).uniform_bytes


def _aligned(size_bytes: int, alignment_bytes: int) -> int:
    return -(-size_bytes // alignment_bytes) * alignment_bytes


Slot = tuple[int, int, int]
"""A uniform buffer's number, an offset and a size in bytes."""


class UniformLaws:
    """Checks the uniform buffers at each submit."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._alignment = state.context.limits.uniform_offset_alignment_bytes
        self._written_at: dict[int, dict[tuple[int, int], int]] = {}
        """By the number of a uniform buffer and a range of its bytes: the op that last wrote it."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {"write_buffer": self._write, "submit": self._submit}

    def _write(self, about: About) -> None:
        if about["role"] == UNIFORM:
            start, size_bytes = about["offset"], len(about["data"])
            ranges = self._written_at.setdefault(about["buffer"], {})
            ranges[start, start + size_bytes] = self._state.position

    def _submit(self, about: About) -> None:
        slots: dict[Slot, bytes] = {}
        for run, command in self._state.runs:
            if run.kernel.uniform_bytes:
                slot = command["ranges"][-1]
                payload = run.payload()
                self._check(run, slot, payload, slots)
                slots.setdefault(slot, payload)
        self._state.checked["B2"] += len(slots)
        if len(slots) > 1:
            self._check_overlaps(slots)

    def _check(
        self, run: ExpectedDispatch, slot: Slot, payload: bytes, slots: dict[Slot, bytes]
    ) -> None:
        report, checked = self._state.report, self._state.checked
        number, offset, size_bytes = slot
        checked["B1"] += 1
        checked["B3"] += 1
        checked["B6"] += 1
        if size_bytes != len(payload):
            report(laws.B6, f"{run} binds {size_bytes} bytes for a payload of {len(payload)}")
        elif slots.get(slot, payload) != payload:
            report(laws.B2, f"{run} shares its slot {slot} with a dispatch of other scalars")
        elif content_of(slot, self._state) != payload:
            ranges = self._written_at.get(number, {})
            last, written_at = max(ranges.items(), key=lambda each: each[1], default=((0, 0), -1))
            if written_at > run.position:
                told = f"was written at op {written_at}, before its submit"
                if not any(a < offset + size_bytes and offset < b for a, b in ranges):
                    told = (
                        f"is at byte {offset} of uniform buffer {number}, and no call wrote it: "
                        f"op {written_at} wrote bytes {last[0]} to {last[1] - 1} before the submit"
                    )
                report(laws.B3, f"the slot of {run} {told}")
            else:
                report(laws.B1, f"slot {slot} of {run} does not hold the scalars of its call")
        if offset:
            checked["B7"] += 1
            if offset % self._alignment:
                report(laws.B7, f"{run} has its slot at {offset}, no multiple of {self._alignment}")

    def _check_overlaps(self, slots: dict[Slot, bytes]) -> None:
        """Check that different slots of a batch share no byte."""
        end_of: tuple[int, int] = (0, 0)
        for number, offset, size_bytes in sorted(slots):
            if number == end_of[0] and offset < end_of[1]:
                self._state.report(
                    laws.B7, f"two slots of a batch overlap in uniform buffer {number} at {offset}"
                )
            end_of = number, offset + size_bytes
