"""Mistakes in the table of live buffers."""

from typing import Any

from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.byte_plans import words_up
from gpusim.runtime.commands import DeviceBuffer, Range
from gpusim.runtime.parts import Parts
from properties.mutants.mutant import Mutant, mutant


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


class NumbersWrapAround(BufferTable):
    """A buffer's number has three bits, and the ninth finds the place of the first."""

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


class FreedHandleStillRead(BufferTable):
    """A kernel may still bind a buffer that was freed last."""

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


class WholeWordsRoundedUp(BufferTable):
    """A kernel is given the last word of a buffer though it is not a whole one."""

    def whole_words(self, buffer: Buffer) -> Range:
        return Range(self.device_buffer(buffer), 0, words_up(buffer.size_bytes))


class WholeWordsLackLast(BufferTable):
    """A kernel is not given the last word of a buffer of 64 words or more."""

    def whole_words(self, buffer: Buffer) -> Range:
        whole = super().whole_words(buffer)
        return Range(whole.buffer, 0, whole.size_bytes - 4 * (whole.size_bytes >= 256))


class BudgetForgetsFrees(BufferTable):
    """The memory of a buffer still counts after its free."""

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        before = self.live_bytes
        device_buffer = super().remove(buffer)
        self.live_bytes = before
        return device_buffer


class BudgetFreesTwice(BufferTable):
    """A free that is refused gives its bytes back to the budget all the same."""

    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        if not buffer.is_live:
            self.live_bytes = max(0, self.live_bytes - buffer.size_bytes)
        return super().device_buffer(buffer)


def _buffers(broken: type[BufferTable], **about: Any) -> Mutant:
    return mutant(broken, parts=Parts(buffers=broken), **about)


MUTANTS = (
    _buffers(StaleHandleFindsNewBuffer, ancestor="TVM, its buffer table"),
    _buffers(NumbersWrapAround, hard=True),
    _buffers(FreedHandleStillRead),
    _buffers(WholeWordsRoundedUp),
    _buffers(WholeWordsLackLast),
    _buffers(BudgetForgetsFrees),
    _buffers(BudgetFreesTwice, hard=True),
)
