"""What a program costs the device under our runtime: objects and submits that its policy saves.

One pass over the trace follows each pool and cache as the policy promises it.  These are failures:
to make an object though a kept one fits, or to make it larger than needed; to submit though nothing
asks for it; to write a buffer twice for one batch; to write bytes that no command of the batch
uses; to keep a freed buffer that no command uses; and to wait for the queue though it has room.
``staging_pool`` has those of staging buffers.  A program that meets a fault is not checked, since
what a fault drops is made again.  The laws say how many objects may be kept.  Nothing here looks at
values.
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from zlib import crc32

from gpusim.limits import WORD_BYTES
from gpusim.ops import Alloc, Free, Sync
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Policy, Uniforms
from gpusim.text import write_op
from properties.model.case import PLAIN
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.laws.expected import counted_bytes
from properties.oracles.staging_pool import StagingPool

About = Mapping[str, Any]
_ONE_IN = 4
_LONG = 200
"""A program with more ops is long."""


def judge_thrift(execution: Execution) -> Failure | None:
    """The first waste in an execution: an object, a submit or a wait that its policy should save.

    The seed of a case decides whether it is checked: one case in four is.  A case without a seed
    is always checked, and so is a long one.
    """
    case = execution.case
    is_drawn = not case.seed or not crc32(f"pools {case.seed}".encode()) % _ONE_IN
    is_drawn |= len(case.program) > _LONG
    if not execution.is_lawful or not is_drawn or execution.trace.failures:
        return None
    alignment_bytes = execution.limits.uniform_offset_alignment_bytes
    followed = _Followed(case.policy, alignment_bytes, asks=case.client != PLAIN)
    handlers = followed.handlers()
    for event in execution.trace.before_close():
        handler = handlers.get(event.kind)
        if handler is not None:
            handler(event.about)
    if followed.wasted is None:
        return None
    trait, reason, position = followed.wasted
    return Failure(
        kind=FailureKind.COST,
        trait=trait,
        position=position,
        op=write_op(case.program[position]) if position < len(case.program) else "the end",
        reason=reason,
    )


class _Followed:
    """The pools and caches of one runtime, after the events so far.

    ``asks``: whether the client may ask for values before a sync.
    """

    def __init__(self, policy: Policy, alignment_bytes: int, *, asks: bool) -> None:
        self.wasted: tuple[str, str, int] | None = None
        """The trait and the reason of the first waste, and the position of its op."""
        self._policy = policy
        self._asks = asks
        self._alignment_bytes = alignment_bytes
        self._position, self._is_sync = 0, False
        self._staging = StagingPool(policy, self._waste)
        self._ring_bytes = 0
        self._contents: dict[bytes, None] = {}
        self._groups: dict[Hashable, None] = {}
        self._made_once: dict[Role, int] = {}
        """The upload buffer and the buffer that a fence copies from, by role."""
        self._acts = self._done = self._submitted = 0
        """Queue acts (host writes and submits) are numbered: ``_acts`` is the last one, ``_done``
        the last one known to be done, and ``_submitted`` the last submit."""
        self._queued: deque[tuple[int, int]] = deque()
        """Host writes that are not known to be done: the act of each, and its bytes."""
        self._drained: list[int] | None = None
        """Sizes of the writes that the last drain waited for; None again after the next write."""
        self._mapped: dict[int, int] = {}
        """Staging buffers that are being mapped, and the act that their map waits for."""
        self._commands = 0
        self._slots = self._peak_slots = self._made_slots = 0
        """``_slots``: uniforms of the current batch.  ``_peak_slots``: the most of any batch.
        ``_made_slots``: uniform buffers made so far."""
        self._slot_sizes: dict[int, None] = {}
        self._unbound: dict[int, int] = {}
        """The bytes of each new uniform buffer, until a dispatch binds it; rings are left out."""
        self._is_free = False
        """Whether the current op is a free."""
        self._alloc_bytes: int | None = None
        """The bytes that the current op allocates; None if it is no alloc."""
        self._allocated: set[int] = set()
        """Buffers of the program."""
        self._bound: list[Any] = []
        """What the commands of the last batch bind or copy, and the grids that they read."""
        self._written: dict[str, tuple[int, int]] = {}
        """The ring and the upload buffer, by role, if the host has written them for the current
        batch: the buffer, and where the written bytes end."""
        self._ends: dict[int, int] = {}
        """The end of the bytes that the batch uses, by buffer; the ring and the upload buffer are
        looked up here."""

    def handlers(self) -> Mapping[str, Callable[[About], None]]:
        """A handler for each kind of event."""
        return {
            "op": self._op,
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "write_buffer": self._write,
            "create_bind_group": self._group,
            "encode": self._encode,
            "copy": self._copy,
            "dispatch": self._dispatch,
            "submit": self._submit,
            "map": self._map,
            "take": self._take,
            "drain": self._drain,
            "staging.reused": self._staging.take,
        }

    def _waste(self, trait: str, reason: str) -> None:
        if self.wasted is None:
            self.wasted = trait, reason, self._position

    def _op(self, about: About) -> None:
        op, self._position = about["op"], about["position"]
        self._is_sync, self._is_free = type(op) is Sync, type(op) is Free
        self._alloc_bytes = op.size_bytes if type(op) is Alloc else None

    def _create(self, about: About) -> None:
        number, role, size_bytes = about["buffer"], about["role"], about["size_bytes"]
        if role == Role.STAGING:
            self._staging.create(number, size_bytes)
        elif role == Role.UNIFORM:
            self._create_uniform(number, size_bytes)
        elif role == Role.UPLOAD or (role == Role.STORAGE and self._is_sync):
            if role in self._made_once:
                what = "staged writes" if role == Role.UPLOAD else "the fence of a sync"
                self._waste("made again", f"a second buffer is made for {what}")
            self._made_once[role] = number
            if role == Role.UPLOAD and size_bytes >= self._policy.upload_bytes + WORD_BYTES:
                self._waste("upload size", f"the upload buffer has {size_bytes} bytes")
        elif self._alloc_bytes is not None:
            self._allocated.add(number)
            if size_bytes >= max(self._alloc_bytes, 1) + WORD_BYTES:
                self._waste(
                    "alloc size", f"{size_bytes} bytes are allocated for {self._alloc_bytes}"
                )

    def _create_uniform(self, number: int, size_bytes: int) -> None:
        if self._policy.uniforms is Uniforms.RING:
            if size_bytes <= self._ring_bytes:
                self._waste("ring", f"a ring of {size_bytes} bytes replaces one that is no smaller")
            self._ring_bytes = size_bytes
            return
        self._unbound[number] = size_bytes
        if self._policy.uniforms is Uniforms.POOLED:
            self._made_slots += 1
            self._slot_sizes[size_bytes] = None
            # A dispatch may take its slot, and a host write in pieces may submit the batch before
            # the dispatch is recorded.  So one slot more than counted is allowed.
            peak = max(self._peak_slots, self._slots + 1) + 1
            if self._made_slots > peak * len(self._slot_sizes):
                self._waste(
                    "slots",
                    f"{self._made_slots} uniform buffers of {len(self._slot_sizes)} sizes are "
                    f"made, and no batch uses more than {peak}",
                )

    def _destroy(self, about: About) -> None:
        number = about["buffer"]
        if number in self._allocated and not self._is_free and not self._is_used(number):
            self._waste(
                "frees",
                "a freed buffer is destroyed later than its free, though no command of the last "
                "batch uses it",
            )
        self._staging.destroy(number)

    def _is_used(self, number: int) -> bool:
        """Whether a command of the last batch uses a buffer."""
        return any([number in bound for bound in self._bound])

    def _dispatch(self, about: About) -> None:
        self._bound += [each[:1] for each in about["ranges"]]
        if self._written:
            # The uniforms of a kernel are its last binding.
            number, offset, size_bytes = about["ranges"][-1]
            self._ends[number] = max(self._ends.get(number, 0), offset + size_bytes)
        if self._unbound:
            number, _, size_bytes = about["ranges"][-1]
            made_bytes = self._unbound.pop(number, 0)
            if made_bytes >= size_bytes + WORD_BYTES:
                self._waste(
                    "uniform size",
                    f"a buffer of {made_bytes} bytes is made for {size_bytes} bytes of scalars",
                )
        if len(about["groups"]) == 2:
            self._bound.append(about["groups"][:1])

    def _write(self, about: About) -> None:
        role = about["role"]
        if role == Role.STORAGE:
            self._acts += 1
            self._queue(len(about["data"]))
            return
        if role == Role.UPLOAD or self._policy.uniforms is Uniforms.RING:
            if role in self._written:
                self._waste("writes", f"the {role} buffer is written twice for one batch")
            self._written[role] = about["buffer"], about["offset"] + len(about["data"])
            return
        self._slots += 1
        self._peak_slots = max(self._peak_slots, self._slots)
        if self._policy.uniforms is Uniforms.CACHED:
            self._keep("uniforms", about["data"], self._contents, self._policy.uniform_cache)

    def _group(self, about: About) -> None:
        if self._policy.cache_bind_groups:
            key = about["kernel"], about["ranges"]
            self._keep("bind groups", key, self._groups, self._policy.bind_group_cache)

    def _keep(self, name: str, key: Any, kept: dict[Any, None], capacity: int) -> None:
        """Note a new entry of a cache; it is a waste if the cache holds an equal one already.

        A full cache drops its oldest entry.  The runtime's cache drops entries at a free as well;
        they stay here, since nothing asks for them again.
        """
        if key in kept:
            self._waste(name, f"an entry of the {name} is made again, though it is kept")
            return
        if len(kept) >= capacity:
            del kept[next(iter(kept))]
        kept[key] = None

    def _encode(self, about: About) -> None:
        self._commands = about["commands"]
        self._staging.encode()
        self._slots, self._bound, self._ends = 0, [], {}
        if about["reason"] == "read" and self._policy.join_reads and not self._asks:
            self._waste("submits", "a read is submitted by itself, and nobody waits for it")

    def _copy(self, about: About) -> None:
        source = about["source"]
        self._bound.append((source, about["target"]))
        if self._written:
            end = about["source_offset"] + about["size_bytes"]
            self._ends[source] = max(self._ends.get(source, 0), end)
        if about["target_role"] != Role.STAGING:
            return
        self._staging.copy(about["target"], about["size_bytes"])
        is_fence = source == self._made_once.get(Role.STORAGE)
        is_known = self._done == self._acts or self._acts in self._mapped.values()
        if is_fence and self._commands == 1 and is_known:
            self._waste(
                "fence",
                "a sync submits a fence that it does not need: the queue is known to be done, or a "
                "pending map shows when the queue is done",
            )

    def _submit(self, about: About) -> None:
        if self._written:
            self._check_written()
        self._staging.submit()
        self._acts += 1
        self._submitted = self._acts

    def _check_written(self) -> None:
        """Check that the batch uses what was written into the ring and the upload buffer."""
        for role, (number, end) in self._written.items():
            used_bytes = self._ends.get(number, 0)
            # In a ring, padding follows each payload.  No dispatch uses the last padding.
            if end - used_bytes >= self._alignment_bytes:
                self._waste(
                    "written bytes",
                    f"{end} bytes of the {role} buffer are written, and {used_bytes} are used",
                )
        self._written = {}

    def _map(self, about: About) -> None:
        self._staging.map(about["buffer"], about["size_bytes"])
        self._mapped[about["buffer"]] = self._acts

    def _take(self, about: About) -> None:
        number = about["buffer"]
        self._done = max(self._done, self._mapped.pop(number, 0))
        self._staging.give_back(number)

    def _drain(self, about: About) -> None:
        while self._queued and self._queued[0][0] <= self._done:
            self._queued.popleft()
        self._drained = [size_bytes for _, size_bytes in self._queued]
        self._done = self._submitted

    def _queue(self, size_bytes: int) -> None:
        """Note a host write; if it waited for the queue, check that the queue had no room."""
        most, drained = self._policy.queued_write_bytes, self._drained
        self._queued.append((self._acts, size_bytes))
        self._drained = None
        if most is None or drained is None:
            return
        held = sum([counted_bytes(each, most) for each in drained])
        # The first piece of a long write is cut down to whole words after the wait for its room.
        if held + counted_bytes(size_bytes, most) + WORD_BYTES <= 2 * most:
            self._waste(
                "drain",
                f"a write of {size_bytes} bytes waits for the queue, though only {held} bytes of "
                f"host writes are unfinished, and the policy allows {2 * most}",
            )
