"""Mistakes in the table of buffers, and in moving bytes at any offset by whole words.

A handle is good from its alloc to its free.  WebGPU moves whole words, and the other bytes of
these words must not change.
"""

from gpusim.limits import WORD_BYTES
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.byte_plans import Edge, words_down, words_up
from gpusim.runtime.commands import CopyCommand, DeviceBuffer, Range, Role
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_writes import HostWrite
from gpusim.runtime.plans import DispatchPlan, Pipelines
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.transfers import ByteCopy, ByteWrite, Transfers, piece_of
from properties.mutants.mutant import mutant


@mutant(part="buffers", origin="TVM, its buffer table")
class StaleHandleFindsNewBuffer(BufferTable):
    """A freed handle reaches the buffer that took its number."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers: dict[int, DeviceBuffer] = {}
        self._free: list[int] = []

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        buffer = super().add(device_buffer, size_bytes, label)
        if self._free:
            del self._live[buffer.uid]
            buffer.uid = self._free.pop()
            self._live[buffer.uid] = buffer
        self._numbers[buffer.uid] = device_buffer
        return buffer

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        found = self._numbers.get(buffer.uid)
        return super().device_buffer(buffer) if found is None else found

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        device_buffer = super().remove(buffer)
        del self._numbers[buffer.uid]
        self._free.append(buffer.uid)
        return device_buffer


@mutant(part="buffers", hard=True)
class NumbersWrapAround(BufferTable):
    """A buffer's number has three bits, so the ninth buffer takes the place of the first."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, DeviceBuffer] = {}

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        buffer = super().add(device_buffer, size_bytes, label)
        self._places[buffer.uid % 8] = device_buffer
        return buffer

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        super().device_buffer(buffer)
        return self._places[buffer.uid % 8]


@mutant(part="buffers")
class FreedHandleStillRead(BufferTable):
    """A dispatch may still bind the whole of the buffer that was freed last."""

    def __init__(self) -> None:
        super().__init__()
        self._last: tuple[Buffer, DeviceBuffer] | None = None

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        self._last = buffer, super().remove(buffer)
        return self._last[1]

    def whole_words(self, buffer: Buffer) -> Range:
        if self._last is not None and self._last[0] is buffer:
            return Range(self._last[1], 0, buffer.size_bytes // 4 * 4)
        return super().whole_words(buffer)


@mutant(part="buffers")
class WholeWordsRoundedUp(BufferTable):
    """A buffer that is bound whole is rounded up to whole words, not down."""

    def whole_words(self, buffer: Buffer) -> Range:
        return Range(self.device_buffer(buffer), 0, words_up(buffer.size_bytes))


@mutant(part="buffers")
class WholeWordsLackLast(BufferTable):
    """A buffer of 64 words or more that is bound whole lacks its last word."""

    def whole_words(self, buffer: Buffer) -> Range:
        whole = super().whole_words(buffer)
        return Range(whole.buffer, 0, whole.size_bytes - 4 * (whole.size_bytes >= 256))


@mutant(part="buffers")
class BudgetForgetsFrees(BufferTable):
    """The memory of a buffer still counts after its free."""

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        before = self.live_bytes
        device_buffer = super().remove(buffer)
        self.live_bytes = before
        return device_buffer


@mutant(part="buffers", hard=True)
class BudgetFreesTwice(BufferTable):
    """A refused op on a freed buffer gives the buffer's bytes back to the budget once more."""

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        if not buffer.is_live:
            self.live_bytes = max(0, self.live_bytes - buffer.size_bytes)
        return super().device_buffer(buffer)


@mutant(part="transfers", origin="cubecl#912")
class PadClearsNeighbours(Transfers):
    """A write at a word offset is padded with zeros to whole words, over the bytes after it."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        if offset % WORD_BYTES == 0:
            room = words_down(buffer.size_bytes - offset)
            padded = bytes(data).ljust(min(words_up(len(data)), room), b"\0")
            data = memoryview(padded)
        super().write(buffer, offset, data)


@mutant(part="transfers", origin="TVM 16554, mended by 18871")
class PadLosesData(Transfers):
    """If a buffer ends within a word, a write to that end writes zeros in place of whole words."""

    def _words_of(self, write: ByteWrite) -> HostWrite | None:
        if write.plan.end > write.offset + len(write.data):
            write = write._replace(data=memoryview(bytes(len(write.data))))
        return super()._words_of(write)


@mutant(part="transfers", origin="cubecl#912, #208")
class WriteRoundedUp(Transfers):
    """A write at a multiple of 16 is padded with zeros to 16 bytes, if the buffer has room."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        rounded = -(-len(data) // 16) * 16
        if offset % 16 == 0 and offset + rounded <= buffer.size_bytes:
            data = memoryview(bytes(data).ljust(rounded, b"\0"))
        super().write(buffer, offset, data)


@mutant(part="transfers")
class LastEdgeLost(Transfers):
    """Of the two edges of a write only the first is patched."""

    def _write_at_once(self, write: ByteWrite) -> None:
        first = write.plan._replace(edges=write.plan.edges[:1])
        super()._write_at_once(write._replace(plan=first))


@mutant(part="transfers")
class EdgeOfThreeBytesCut(Transfers):
    """Of an edge of three bytes only the first two are written."""

    def _payload_of(self, patch: DispatchPlan, write: ByteWrite, edges: tuple[Edge, ...]) -> bytes:
        cut = tuple(Edge(edge.offset, min(edge.size_bytes, 2)) for edge in edges)
        return super()._payload_of(patch, write, cut)


@mutant(part="transfers")
class TwoBytesInTheMiddle(Transfers):
    """A write of the two middle bytes of a word goes to the last two bytes of that word."""

    def _payload_of(self, patch: DispatchPlan, write: ByteWrite, edges: tuple[Edge, ...]) -> bytes:
        if len(edges) == 1 and edges[0].size_bytes == 2 and edges[0].offset % WORD_BYTES == 1:
            edges = (edges[0]._replace(offset=edges[0].offset + 1),)
            write = write._replace(offset=write.offset + 1)
        return super()._payload_of(patch, write, edges)


@mutant(part="transfers")
class EdgesFromShadowCopy(Transfers):
    """The bytes beside an unaligned write come from a stale copy of the last host write."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        start, end = words_down(offset), words_up(offset + len(data))
        whole = start < offset and end > offset + len(data) and end <= buffer.size_bytes
        known = self._last.get(buffer)
        self._last[buffer] = (offset, bytes(data))
        if whole and known is not None and known[0] <= start and end <= known[0] + len(known[1]):
            at, old = known
            before, after = old[start - at : offset - at], old[offset - at + len(data) : end - at]
            super().write(buffer, start, memoryview(before + bytes(data) + after))
            return
        super().write(buffer, offset, data)

    def __init__(
        self, driver: Driver, recorder: Recorder, buffers: BufferTable, pipelines: Pipelines
    ) -> None:
        super().__init__(driver, recorder, buffers, pipelines)
        self._last: dict[Buffer, tuple[int, bytes]] = {}


@mutant(part="transfers", origin="TVM 20059; gpuweb#4599")
class BadCopyPoisonsBatch(Transfers):
    """A copy within one buffer is recorded like any other, so WebGPU refuses its batch."""

    def _copy_within(self, copy: ByteCopy) -> None:
        self._copy_between(copy)


@mutant(part="transfers")
class CopyWithinInHalves(Transfers):
    """A copy within one buffer is made in two halves, and the first may overwrite the second."""

    def _copy_within(self, copy: ByteCopy) -> None:
        half = copy.size_bytes // 2
        for start, size in ((0, half), (half, copy.size_bytes - half)):
            if size:
                super()._copy_within(piece_of(copy, start, size))


@mutant(part="transfers")
class ScratchTooSmallByPhase(Transfers):
    """A copy within one buffer may start up to 3 bytes early: its scratch buffer is too short."""

    def _copy_within(self, copy: ByteCopy) -> None:
        size_bytes = words_up(copy.size_bytes)
        scratch = self._driver.create_buffer(size_bytes, Role.STORAGE)
        start = words_down(copy.source_offset)
        taken = min(size_bytes, copy.origin.size_bytes - start)
        self._recorder.record_copy(CopyCommand(copy.origin, start, scratch, 0, taken))
        phase = min(copy.source_offset - start, size_bytes - copy.size_bytes)
        self._copy_between(copy._replace(origin=scratch, source_offset=phase))
        self._recorder.retire(scratch)


@mutant(part="transfers")
class CopyRoundedUp(Transfers):
    """A copy between word offsets is rounded up to whole words, if both buffers have room."""

    def _copy_between(self, copy: ByteCopy) -> None:
        room = words_down(copy.target.size_bytes - copy.target_offset)
        left = copy.origin.size_bytes - copy.source_offset
        rounded = min(words_up(copy.size_bytes), room, left)
        aligned = copy.source_offset % WORD_BYTES == 0 == copy.target_offset % WORD_BYTES
        if aligned and rounded > copy.size_bytes:
            copy = copy._replace(size_bytes=rounded)
        super()._copy_between(copy)


@mutant(part="transfers")
class CopyGroupsRoundedDown(Transfers):
    """A copy of over 256 bytes is cut to a multiple of 256, unless it is of whole words."""

    def _copy_piece(self, piece: ByteCopy) -> None:
        if piece.size_bytes > 256:
            piece = piece._replace(size_bytes=piece.size_bytes // 256 * 256)
        super()._copy_piece(piece)


@mutant(part="transfers", found_by="faults", hard=True)
class CopyNotWritten(Transfers):
    """The target of a copy is not lost if the batch of the copy fails."""

    def _copy_between(self, copy: ByteCopy) -> None:
        super()._copy_between(copy)
        self._recorder._batch.written.pop(copy.target, None)


@mutant(part="transfers")
class PieceTakenTwice(Transfers):
    """A piece of a copy that starts where the last piece ended has the last piece's bytes again."""

    def _copy_piece(self, piece: ByteCopy) -> None:
        follows = piece.source_offset == self._last
        self._last = piece.source_offset + piece.size_bytes
        if follows:
            most = min(piece.source_offset, self._piece_bytes)
            piece = piece._replace(source_offset=piece.source_offset - most)
        super()._copy_piece(piece)

    _last: int | None = None


@mutant(part="transfers", found_by="faults")
class LostUntilFreed(Transfers):
    """A lost buffer stays lost even if a write overwrites it whole."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        lost = buffer.lost
        super().write(buffer, offset, data)
        buffer.lost = lost


@mutant(part="transfers", found_by="faults")
class LostUntilWritten(Transfers):
    """A lost buffer counts as whole again after a write of any part of it."""

    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        super().write(buffer, offset, data)
        buffer.lost = False
