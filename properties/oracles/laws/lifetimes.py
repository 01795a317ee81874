"""Laws of lifetimes: which buffers may be used, destroyed or left over; and laws of valid calls.

Every buffer of the device has an owner until it is destroyed, and it is destroyed once.  No
invalid call reaches the driver.
"""

from collections.abc import Mapping
from itertools import combinations, compress

from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    GRID_BYTES,
    Alloc,
    Copy,
    Free,
    Op,
    Replay,
)
from gpusim.program import buffers_of
from gpusim.runtime.policy import Uniforms
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import (
    GRID_DIMENSIONS,
    STAGING,
    STORAGE,
    UNIFORM,
    ExpectedDispatch,
    Known,
)
from properties.oracles.laws.state import About, Handler, TraceState

_JUST_NOW = -1


class Lifetimes:
    """Checks that each device buffer belongs to a handle, a pool or the open batch."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._loose: dict[int, int] = {}
        """Storage buffers without a handle, which may live until the next submit.  The value is the
        number of submits at the end of the op that freed or made the buffer, and ``_JUST_NOW``
        until that end."""
        self._fence = 0
        self._uniforms = 0
        """Uniform buffers alive."""
        self._uniforms_made = 0
        """Uniform buffers made since the last submit."""
        self._most_kept = {
            Uniforms.FRESH: 0,
            Uniforms.POOLED: state.policy.uniform_slots,
            Uniforms.CACHED: state.policy.uniform_cache,
        }.get(state.policy.uniforms, 1)
        """The most uniform buffers that may be alive.  If uniforms are not pooled, the buffers made
        since the last submit may be alive as well."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "copy": self._copy,
            "submit": self._submit,
            "outcome": self._outcome,
            "closed": self._closed,
        }

    def _create(self, about: About) -> None:
        state, number = self._state, about["buffer"]
        state.checked["E1"] += 1
        if number in state.buffers:
            state.report(laws.E1, f"buffer {number} is made a second time")
        if about["role"] == UNIFORM:
            self._uniforms += 1
            self._uniforms_made += 1
        elif about["role"] == STORAGE and type(state.op) is not Alloc:
            if self._fence == 0 and type(state.op) not in (Copy, Replay):
                self._fence = number
            elif not self._may_be_fence():
                self._loose[number] = _JUST_NOW

    def _may_be_fence(self) -> bool:
        """Whether a buffer that a replay makes may be the fence; if not, it is a copy's scratch.

        The fence is the buffer that the runtime reads back when it waits for the queue.  A replay
        waits only under ``debug_submit_each``.
        """
        waits = self._state.policy.debug_submit_each and type(self._state.op) is Replay
        return self._fence == 0 and waits

    def _copy(self, about: About) -> None:
        """Note the fence: a buffer that is read back, though no op allocated it."""
        known = self._state.live.get(about["source"])
        fetched = about["target_role"] == STAGING
        if self._fence == 0 and fetched and known is not None and known.user_bytes < 0:
            self._fence = known.number
            self._loose.pop(known.number, None)

    def _destroy(self, about: About) -> None:
        state, number = self._state, about["buffer"]
        state.checked["F1"] += 1
        if number not in state.live:
            state.report(laws.F1, f"{state.name_of(number)} is destroyed, though it is not alive")
            return
        self._uniforms -= about["role"] == UNIFORM
        self._loose.pop(number, None)
        if number == self._fence:
            self._fence = 0
        if about["role"] == STORAGE:
            self._check_unused(number)

    def _check_unused(self, number: int) -> None:
        state = self._state
        state.checked["F6"] += 1
        for expected in state.open:
            if not expected.optional and any(touch[0] == number for touch in expected.touches):
                name = state.name_of(number)
                state.report(
                    laws.F6, f"{name} was destroyed before {expected}, which uses it, was submitted"
                )

    def _submit(self, about: About) -> None:
        self._uniforms_made = 0

    def _outcome(self, about: About) -> None:
        state = self._state
        if state.is_lost:
            return
        op = state.op
        if about["error"] is None and op is not None and type(op) is not Alloc:
            self._check_names(op)
            if type(op) is Free and op.buffer in state.names:
                number = state.names[op.buffer].number
                if number in state.live:
                    self._loose[number] = _JUST_NOW
        state.checked["B5"] += 1
        if self._uniforms > self._uniforms_made:
            self._check_uniforms()
        state.checked["F1"] += 1
        if self._loose:
            self._check_loose()

    def _check_loose(self) -> None:
        state = self._state
        for number, since in self._loose.items():
            if since == _JUST_NOW:
                self._loose[number] = state.submits
            elif since != state.submits:
                state.report(
                    laws.F1, f"storage buffer {number} is alive, and no handle or batch needs it"
                )

    def _check_names(self, op: Op) -> None:
        state = self._state
        state.checked["E2"] += 1
        used = buffers_of(op)
        if type(op) is Replay:
            swaps = dict(op.bindings)
            used = tuple([swaps.get(name, name) for name in buffers_of(state.graphs[op.graph])])
        for name in used:
            if name not in state.names:
                state.report(laws.E2, f"an op on {name} was accepted, though {name} is not alive")

    def _check_uniforms(self) -> None:
        most = self._most_kept
        if self._state.policy.uniforms is not Uniforms.POOLED:
            most += self._uniforms_made
        if self._uniforms > most:
            self._state.report(
                laws.B5, f"{self._uniforms} uniform buffers are alive, where {most} is the most"
            )

    def _closed(self, about: About) -> None:
        state = self._state
        state.checked["F2"] += 1
        if state.live:
            left = " ".join(state.name_of(number) for number in state.live)
            state.report(laws.F2, f"alive after close: {left}")


class Validity:
    """Checks each call against WebGPU's rules, at the moment at which WebGPU checks it."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        limits = state.context.limits
        self._most_bytes = limits.max_buffer_bytes
        self._most_bound_bytes = limits.max_binding_bytes
        self._most_groups = limits.max_groups_per_dimension
        self._alignments = {
            STORAGE: limits.storage_offset_alignment_bytes,
            UNIFORM: limits.uniform_offset_alignment_bytes,
        }
        self._destroyed_at: dict[int, int] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "write_buffer": self._write,
            "create_bind_group": self._bind,
            "submit": self._submit,
        }

    def _create(self, about: About) -> None:
        size_bytes = about["size_bytes"]
        self._state.checked["G4"] += 1
        if size_bytes <= 0 or size_bytes % WORD_BYTES:
            self._illegal(f"a buffer of {size_bytes} bytes is made")

    def _destroy(self, about: About) -> None:
        self._destroyed_at[about["buffer"]] = self._state.position

    def _write(self, about: About) -> None:
        offset, size_bytes = about["offset"], len(about["data"])
        self._state.checked["G4"] += 1
        if offset % WORD_BYTES or size_bytes % WORD_BYTES:
            self._illegal(f"{size_bytes} bytes are written at {offset}: no whole words")
        self._check_range(about["buffer"], offset, size_bytes, "is written")

    def _bind(self, about: About) -> None:
        for number, offset, size_bytes in about["ranges"]:
            known = self._check_range(number, offset, size_bytes, "is bound")
            if known is None:
                continue
            is_storage = known.role == STORAGE
            if size_bytes <= 0 or (is_storage and size_bytes % WORD_BYTES):
                self._illegal(f"{size_bytes} bytes of {self._state.name_of(number)} are bound")
            if is_storage and size_bytes > self._most_bound_bytes:
                most = self._most_bound_bytes
                self._illegal(f"{size_bytes} bytes are bound, where {most} is the most")
            if offset % self._alignments.get(known.role, 1):
                self._illegal(f"{self._state.name_of(number)} is bound at {offset}, unaligned")

    def _submit(self, about: About) -> None:
        state = self._state
        state.checked["G4"] += len(state.batch)
        state.checked["F4"] += len(state.batch)
        state.checked["E6"] += len(state.runs)
        for kind, command in state.batch:
            if kind == "dispatch":
                state.checked["E3"] += 1
                self._check_dispatch(command)
            else:
                self._check_copy(command)

    def _check_dispatch(self, about: About) -> None:
        live, ranges = self._state.live, about["ranges"]
        numbers = set()
        for number, offset, size_bytes in ranges:
            numbers.add(number)
            known = live.get(number)
            if known is None:
                self._dead(number, self._run_of(about))
            elif offset + size_bytes > known.size_bytes:
                self._illegal(f"{self._state.name_of(number)} is bound past its end")
        if len(numbers) < len(ranges):
            self._check_aliases(about)
        if len(about["groups"]) < GRID_DIMENSIONS:
            self._check_grid_in(about)
        elif max(about["groups"]) > self._most_groups:
            self._illegal(f"{about['kernel']} is dispatched over {about['groups']} workgroups")

    def _check_aliases(self, about: About) -> None:
        """Check that no buffer is bound both to be read and to be written, and that no two ranges
        bound to be written overlap."""
        kernel = self._state.context.kernel(about["kernel"])
        if kernel is None:
            return
        bound = [*zip(about["ranges"], kernel.writes, strict=False)]
        for ((one, start, size), writes), ((other, begin, length), also) in combinations(bound, 2):
            if one != other or not (writes or also):
                continue
            if writes != also or (start < begin + length and begin < start + size):
                name = self._state.name_of(one)
                self._illegal(f"{kernel.name} binds {name} twice, at least once to write it")

    def _check_grid_in(self, about: About) -> None:
        """Check that a grid is whole words of a buffer that the dispatch does not write."""
        number, offset = about["groups"]
        kernel = self._state.context.kernel(about["kernel"])
        self._check_range(number, offset, GRID_BYTES, "is read for a grid")
        if offset % WORD_BYTES:
            self._illegal(f"a grid is read at {offset} of {self._state.name_of(number)}, unaligned")
        written = () if kernel is None else compress(about["ranges"], kernel.writes)
        if any(bound == number for bound, _, _ in written):
            self._illegal(
                f"{about['kernel']} writes {self._state.name_of(number)}, which holds its grid"
            )

    def _check_copy(self, about: About) -> None:
        source, target = about["source"], about["target"]
        start, place, size_bytes = (
            about["source_offset"],
            about["target_offset"],
            about["size_bytes"],
        )
        if start % WORD_BYTES or place % WORD_BYTES or size_bytes % WORD_BYTES:
            self._illegal(f"{size_bytes} bytes are copied from {start} to {place}: no whole words")
        if source == target:
            self._illegal(f"{self._state.name_of(source)} is copied to itself")
        self._check_range(source, start, size_bytes, "is copied from")
        self._check_range(target, place, size_bytes, "is copied to")

    def _check_range(self, number: int, offset: int, size_bytes: int, what: str) -> Known | None:
        known = self._state.live.get(number)
        if known is None:
            self._dead(number, None)
        elif offset < 0 or offset + size_bytes > known.size_bytes:
            self._illegal(f"{self._state.name_of(number)} {what} past its end")
        return known

    def _run_of(self, about: About) -> ExpectedDispatch | None:
        """The op that a dispatch of the batch carries out, if any."""
        return next((run for run, command in self._state.runs if command is about), None)

    def _dead(self, number: int, run: ExpectedDispatch | None) -> None:
        """Report the use of a destroyed buffer, by the law that the use breaks."""
        state = self._state
        if number not in state.buffers:
            self._illegal(f"buffer {number} is used, and was never made")
            return
        known, law = state.buffers[number], laws.F4
        if run is not None and run.position > self._destroyed_at.get(number, 0):
            law = laws.E3
        elif known.role == UNIFORM:
            law = laws.E6
        state.report(
            law,
            f"{state.name_of(number)} was destroyed at op {self._destroyed_at.get(number)}, before "
            f"{run or 'a command'}, which uses it, was submitted",
        )

    def _illegal(self, argument: str) -> None:
        self._state.report(laws.G4, argument)
