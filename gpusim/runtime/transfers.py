"""Writes and copies of any bytes, carried out in whole words.

Whole words use the device's own writes and copies.  Two small kernels move all other bytes.  Their
dispatches are recorded like any other, and so keep their order.
"""

from typing import NamedTuple

from gpusim.kernels import COPY_BYTES, PATCH_WORDS, Kernel
from gpusim.limits import WORD_BYTES, Limits
from gpusim.runtime.buffers import Buffer, BufferTable, Losing
from gpusim.runtime.byte_plans import (
    Edge,
    WritePlan,
    chunks,
    is_word_copy,
    most_piece_bytes,
    plan_write,
    window,
    words_down,
    words_up,
)
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, Launch, Range, Role, new_tuple
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.graph import CopyCall
from gpusim.runtime.host_writes import HostWrite
from gpusim.runtime.plans import DispatchPlan, Pipelines
from gpusim.runtime.recorder import Recorder

_NO_EDGE = (0, 0, 0)
_ONE_GROUP = Launch(1, (1, 1, 1))


class ByteWrite(NamedTuple):
    """A checked and planned host write; ``staged``: copied at the write's place in the batch."""

    buffer: Buffer
    target: DeviceBuffer
    plan: WritePlan
    offset: int
    data: memoryview
    staged: bool


class ByteCopy(NamedTuple):
    """A copy to a buffer of the user's, from one of the user's or from a scratch buffer."""

    origin: DeviceBuffer
    source_offset: int
    target: Buffer
    target_offset: int
    size_bytes: int


class Transfers:
    """Writes and copies exactly the bytes asked for, through one recorder.

    The caller has checked that all ranges lie inside their buffers.
    """

    def __init__(
        self, driver: Driver, recorder: Recorder, buffers: BufferTable, pipelines: Pipelines
    ) -> None:
        self._driver = driver
        self._limits: Limits = driver.limits
        self._piece_bytes = most_piece_bytes(driver.limits)
        self._recorder = recorder
        self._buffers = buffers
        self._pipelines = pipelines

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        """Write ``data``, at least one byte, at ``offset``."""
        target = self._buffers.device_buffer(buffer)
        plan = plan_write(offset, len(data), buffer.size_bytes)
        staged = self._recorder.before_write(target, plan.start, plan.end)
        write = ByteWrite(buffer, target, plan, offset, data, staged)
        in_pieces = plan.end - plan.start > self._recorder.most_queued_bytes and not staged
        if self._fits_binding(target) and not in_pieces:
            self._write_at_once(write)
        else:
            self._write_in_parts(write)
        if len(data) == buffer.size_bytes:
            buffer.lost = False

    def copy(self, call: CopyCall) -> None:
        """Copy at least one byte.  A copy within one buffer goes through a scratch buffer."""
        source, source_offset, target, target_offset, size_bytes = call
        origin = self._buffers.device_buffer(source)
        copy = ByteCopy(origin, source_offset, target, target_offset, size_bytes)
        if source is target:
            self._copy_within(copy)
        else:
            self._copy_between(copy)
        if size_bytes == target.size_bytes:
            target.lost = False

    def word_copy(self, call: CopyCall) -> CopyCommand | None:
        """The copy as one command; None if it is not of whole words, or within one buffer."""
        source, source_offset, target, target_offset, size_bytes = call
        whole = is_word_copy(source_offset, target_offset, size_bytes, target.size_bytes)
        if source is target or not whole:
            return None
        return CopyCommand(
            self._buffers.device_buffer(source),
            source_offset,
            self._buffers.device_buffer(target),
            target_offset,
            words_up(size_bytes),
        )

    def _write_at_once(self, write: ByteWrite) -> None:
        """Write the words and one patch of both edges; a failure changes nothing."""
        edges = write.plan.edges
        if edges:
            patch = self._patch_of(write, edges)
            payload = self._payload_of(patch, write, edges)
            self._recorder.write_and_patch(self._words_of(write), patch, payload)
        else:
            self._write_words(write)
            self._recorder.after_write()

    def _write_in_parts(self, write: ByteWrite) -> None:
        """Write in parts, if the buffer exceeds a binding or the write is long.

        A failure after the first part loses the buffer.
        """
        edges = list(write.plan.edges)
        if not self._write_words(write):
            self._write_edge(write, edges.pop(0))
        with Losing(write.buffer):
            self._recorder.after_write()
            for edge in edges:
                self._write_edge(write, edge)

    def _write_edge(self, write: ByteWrite, edge: Edge) -> None:
        patch = self._patch_of(write, (edge,))
        self._recorder.dispatch(patch, self._payload_of(patch, write, (edge,)))

    def _write_words(self, write: ByteWrite) -> bool:
        """Write the whole words, if any; returns whether there were any."""
        words = self._words_of(write)
        if words is not None:
            self._recorder.write(words)
        return words is not None

    def _words_of(self, write: ByteWrite) -> HostWrite | None:
        """The whole words of a write; None if the write has no whole word."""
        buffer, target, plan, offset, data, staged = write
        if plan.start == plan.end:
            return None
        words: bytes | memoryview = data[plan.start - offset : plan.end - offset]
        padding = plan.end - plan.start - len(words)
        if padding:
            words = bytes(words) + bytes(padding)
        return new_tuple(HostWrite, (target, plan.start, words, buffer, staged))

    def _patch_of(self, write: ByteWrite, edges: tuple[Edge, ...]) -> DispatchPlan:
        start, end = edges[0].offset, edges[-1].offset + edges[-1].size_bytes
        bound = self._window(write.target, start, end)
        return self._plan(PATCH_WORDS, (bound,), _ONE_GROUP, write.buffer)

    def _payload_of(self, patch: DispatchPlan, write: ByteWrite, edges: tuple[Edge, ...]) -> bytes:
        base = patch.ranges[0].offset // WORD_BYTES
        scalars: list[int] = []
        for edge in edges:
            start = edge.offset - write.offset
            mask, value = edge.patch(bytes(write.data[start : start + edge.size_bytes]))
            scalars += (edge.word - base, mask, value)
        scalars += _NO_EDGE * (2 - len(edges))
        return PATCH_WORDS.pack(scalars, patch.groups)

    def _copy_within(self, copy: ByteCopy) -> None:
        """Copy the bytes to a scratch buffer, then to the target: the two ranges may overlap."""
        start = words_down(copy.source_offset)
        end = words_up(copy.source_offset + copy.size_bytes)
        scratch = self._driver.create_buffer(end - start, Role.STORAGE)
        try:
            self._recorder.record_copy(CopyCommand(copy.origin, start, scratch, 0, end - start))
            self._copy_between(
                copy._replace(origin=scratch, source_offset=copy.source_offset - start)
            )
        finally:
            self._recorder.retire(scratch)

    def _copy_between(self, copy: ByteCopy) -> None:
        origin, source_offset, target, target_offset, size_bytes = copy
        if is_word_copy(source_offset, target_offset, size_bytes, target.size_bytes):
            place = self._buffers.device_buffer(target)
            self._recorder.record_copy(
                CopyCommand(origin, source_offset, place, target_offset, words_up(size_bytes)),
                (target,),
            )
            return
        first, *others = chunks(size_bytes, self._piece_bytes)
        self._copy_piece(piece_of(copy, *first))
        with Losing(target):
            for piece in others:
                self._copy_piece(piece_of(copy, *piece))

    def _copy_piece(self, piece: ByteCopy) -> None:
        origin, source_offset, target, target_offset, size_bytes = piece
        place = self._buffers.device_buffer(target)
        source_range = self._window(origin, source_offset, source_offset + size_bytes)
        target_range = self._window(place, target_offset, target_offset + size_bytes)
        target_at = target_offset - target_range.offset
        words = words_up(target_at % WORD_BYTES + size_bytes) // WORD_BYTES
        groups = -(-words // COPY_BYTES.group_size)
        ranges = (source_range, target_range)
        plan = self._plan(COPY_BYTES, ranges, Launch(groups, (groups, 1, 1)), target)
        scalars = (source_offset - source_range.offset, target_at, size_bytes)
        self._recorder.dispatch(plan, COPY_BYTES.pack(scalars, groups))

    def _plan(
        self, kernel: Kernel, ranges: tuple[Range, ...], launch: Launch, written: Buffer
    ) -> DispatchPlan:
        """A dispatch of one of our own kernels."""
        pipeline = self._pipelines.compiled(kernel)
        return DispatchPlan(kernel, ranges, launch, pipeline=pipeline, written=(written,))

    def _fits_binding(self, buffer: DeviceBuffer) -> bool:
        return buffer.size_bytes <= self._limits.max_binding_bytes

    def _window(self, buffer: DeviceBuffer, start: int, end: int) -> Range:
        bound = window(
            start,
            end,
            buffer.size_bytes,
            max_binding_bytes=self._limits.max_binding_bytes,
            alignment_bytes=self._limits.storage_offset_alignment_bytes,
        )
        return Range(buffer, bound.base, bound.size_bytes)


def piece_of(copy: ByteCopy, start: int, size_bytes: int) -> ByteCopy:
    """``size_bytes`` bytes of a copy, from its byte ``start`` on."""
    return copy._replace(
        source_offset=copy.source_offset + start,
        target_offset=copy.target_offset + start,
        size_bytes=size_bytes,
    )
