"""Writes and copies of any bytes, carried out in whole words.

Whole words go the device's own way; the bytes beside them go through two small
kernels, which are recorded like any dispatch and so keep their order.
"""

from gpusim.errors import DeviceFault
from gpusim.kernels import COPY_BYTES, PATCH_WORDS
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
from gpusim.runtime.calls import CopyCall
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, DispatchCommand, Range, Role
from gpusim.runtime.driver import Driver
from gpusim.runtime.launch import Launch
from gpusim.runtime.plans import DispatchPlan
from gpusim.runtime.recorder import Recorder

_NO_EDGE = (0, 0, 0)
_ONE_GROUP = Launch(1, (1, 1, 1))


class Transfers:
    """Byte-exact writes and copies over one recorder; ranges have been checked."""

    def __init__(self, driver: Driver, recorder: Recorder, buffers: BufferTable) -> None:
        self._driver = driver
        self._limits: Limits = driver.limits
        self._piece_bytes = most_piece_bytes(driver.limits)
        self._recorder = recorder
        self._buffers = buffers

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        """Put ``data``, at least one byte of it, at ``offset``."""
        target = self._buffers.device_buffer(buffer)
        plan = plan_write(offset, len(data), buffer.size_bytes)
        staged = self._recorder.before_write(target, plan.start, plan.end)
        if self._fits_binding(target):
            self._write_at_once(buffer, target, plan, offset, data, staged)
        else:
            self._write_in_parts(buffer, target, plan, offset, data, staged)
        if len(data) == buffer.size_bytes:
            buffer.lost = False

    def copy(self, call: CopyCall) -> None:
        """Copy at least one byte; within one buffer through a scratch buffer."""
        source, source_offset, target, target_offset, size_bytes = call
        origin = self._buffers.device_buffer(source)
        if source is target:
            self._copy_within(origin, target, source_offset, target_offset, size_bytes)
        else:
            self._copy_between(origin, source_offset, target, target_offset, size_bytes)
        if size_bytes == target.size_bytes:
            target.lost = False

    def word_copy(self, call: CopyCall) -> CopyCommand | None:
        """The one command that makes a copy, where whole words between two buffers do."""
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

    def _write_at_once(
        self,
        buffer: Buffer,
        target: DeviceBuffer,
        plan: WritePlan,
        offset: int,
        data: memoryview,
        staged: bool,
    ) -> None:
        """Prepare the patch, write the words, record the patch: a failure changes nothing."""
        if not plan.edges:
            self._write_words(buffer, target, plan, offset, data, staged)
            self._recorder.after_write()
            return
        patch = self._patch_of(buffer, target, plan.edges)
        command = self._prepare_patch(patch, plan.edges, offset, data)
        try:
            self._write_words(buffer, target, plan, offset, data, staged)
        except DeviceFault:
            self._recorder.take_back(command)
            raise
        self._recorder.record_dispatch(command, patch)

    def _write_in_parts(
        self,
        buffer: Buffer,
        target: DeviceBuffer,
        plan: WritePlan,
        offset: int,
        data: memoryview,
        staged: bool,
    ) -> None:
        """The same where no binding holds both edges: a failure half way loses the buffer."""
        self._write_words(buffer, target, plan, offset, data, staged)
        with Losing(buffer):
            self._recorder.after_write()
            for edge in plan.edges:
                patch = self._patch_of(buffer, target, (edge,))
                command = self._prepare_patch(patch, (edge,), offset, data)
                self._recorder.record_dispatch(command, patch)

    def _write_words(
        self,
        buffer: Buffer,
        target: DeviceBuffer,
        plan: WritePlan,
        offset: int,
        data: memoryview,
        staged: bool,
    ) -> None:
        if plan.start == plan.end:
            return
        words: bytes | memoryview = data[plan.start - offset : plan.end - offset]
        padding = plan.end - plan.start - len(words)
        if padding:
            words = bytes(words) + bytes(padding)
        self._recorder.write(target, plan.start, words, buffer, staged=staged)

    def _patch_of(
        self, buffer: Buffer, target: DeviceBuffer, edges: tuple[Edge, ...]
    ) -> DispatchPlan:
        bound = self._window(target, edges[0].offset, edges[-1].offset + edges[-1].size_bytes)
        return self._recorder.plan(PATCH_WORDS, (bound,), _ONE_GROUP, written=(buffer,))

    def _prepare_patch(
        self, patch: DispatchPlan, edges: tuple[Edge, ...], offset: int, data: memoryview
    ) -> DispatchCommand:
        base = patch.ranges[0].offset // WORD_BYTES
        scalars: list[int] = []
        for edge in edges:
            start = edge.offset - offset
            mask, value = edge.patch(bytes(data[start : start + edge.size_bytes]))
            scalars += (edge.word - base, mask, value)
        scalars += _NO_EDGE * (2 - len(edges))
        return self._recorder.prepare(patch, PATCH_WORDS.pack(scalars, patch.groups))

    def _copy_within(
        self,
        origin: DeviceBuffer,
        target: Buffer,
        source_offset: int,
        target_offset: int,
        size_bytes: int,
    ) -> None:
        """First all of the source to a scratch buffer, then to its place: memmove."""
        start, end = words_down(source_offset), words_up(source_offset + size_bytes)
        scratch = self._driver.create_buffer(end - start, Role.STORAGE)
        try:
            self._recorder.record_copy(CopyCommand(origin, start, scratch, 0, end - start))
            self._copy_between(scratch, source_offset - start, target, target_offset, size_bytes)
        finally:
            self._recorder.retire(scratch)

    def _copy_between(
        self,
        origin: DeviceBuffer,
        source_offset: int,
        target: Buffer,
        target_offset: int,
        size_bytes: int,
    ) -> None:
        place = self._buffers.device_buffer(target)
        if is_word_copy(source_offset, target_offset, size_bytes, target.size_bytes):
            self._recorder.record_copy(
                CopyCommand(origin, source_offset, place, target_offset, words_up(size_bytes)),
                (target,),
            )
            return
        pieces = chunks(size_bytes, self._piece_bytes)
        self._copy_piece(origin, source_offset, target, target_offset, pieces[0][1])
        with Losing(target):
            for start, size in pieces[1:]:
                self._copy_piece(origin, source_offset + start, target, target_offset + start, size)

    def _copy_piece(
        self,
        origin: DeviceBuffer,
        source_offset: int,
        target: Buffer,
        target_offset: int,
        size_bytes: int,
    ) -> None:
        place = self._buffers.device_buffer(target)
        source_range = self._window(origin, source_offset, source_offset + size_bytes)
        target_range = self._window(place, target_offset, target_offset + size_bytes)
        target_at = target_offset - target_range.offset
        words = words_up(target_at % WORD_BYTES + size_bytes) // WORD_BYTES
        groups = -(-words // COPY_BYTES.group_size)
        plan = self._recorder.plan(
            COPY_BYTES,
            (source_range, target_range),
            Launch(groups, (groups, 1, 1)),
            written=(target,),
        )
        scalars = (source_offset - source_range.offset, target_at, size_bytes)
        command = self._recorder.prepare(plan, COPY_BYTES.pack(scalars, groups))
        self._recorder.record_dispatch(command, plan)

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
