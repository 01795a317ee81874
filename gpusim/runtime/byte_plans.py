"""Plans that turn bytes at any offset into whole words: pure, without a device.

WebGPU writes and copies only whole words at word offsets.  A buffer's last word may
reach past its end; no op can see those padding bytes.
"""

from typing import NamedTuple

from gpusim.kernels import COPY_BYTES
from gpusim.limits import WORD_BYTES, Limits

_PIECE_BYTES = 1 << 23
_MASKS = tuple((1 << (8 * count)) - 1 for count in range(WORD_BYTES + 1))


def words_up(size_bytes: int) -> int:
    """``size_bytes`` rounded up to whole words."""
    return -(-size_bytes // WORD_BYTES) * WORD_BYTES


def words_down(size_bytes: int) -> int:
    """``size_bytes`` rounded down to whole words."""
    return size_bytes // WORD_BYTES * WORD_BYTES


class Edge(NamedTuple):
    """Part of one word: ``size_bytes`` bytes from byte ``offset`` of the buffer."""

    offset: int
    size_bytes: int

    @property
    def word(self) -> int:
        """The number of the word that the edge lies in."""
        return self.offset // WORD_BYTES

    def patch(self, data: bytes) -> tuple[int, int]:
        """The mask and the value that put ``data`` into the word."""
        shift = 8 * (self.offset % WORD_BYTES)
        return _MASKS[self.size_bytes] << shift, int.from_bytes(data, "little") << shift


class WritePlan(NamedTuple):
    """A write as whole words from ``start`` to ``end``, and the edges beside them.

    ``end`` may lie past the last byte of data, in the buffer's padding.
    """

    start: int
    end: int
    edges: tuple[Edge, ...]


def plan_write(offset: int, size_bytes: int, buffer_bytes: int) -> WritePlan:
    """Split a write of at least one byte, which lies inside the buffer, into words and edges."""
    end = offset + size_bytes
    body_start = words_up(offset)
    body_end = words_up(end) if end == buffer_bytes else words_down(end)
    if body_start >= body_end:
        return WritePlan(body_start, body_start, tuple(_edges_of(offset, end)))
    edges = [*_edges_of(offset, body_start), *_edges_of(body_end, end)]
    return WritePlan(body_start, body_end, tuple(edges))


def _edges_of(start: int, end: int) -> list[Edge]:
    edges = []
    while start < end:
        stop = min(end, words_down(start) + WORD_BYTES)
        edges.append(Edge(start, stop - start))
        start = stop
    return edges


def is_word_copy(
    source_offset: int, target_offset: int, size_bytes: int, target_bytes: int
) -> bool:
    """Whether a copy between two buffers can be done in whole words.

    A copy up to the target's end may copy bytes after the source range into the
    target's padding.
    """
    if source_offset % WORD_BYTES or target_offset % WORD_BYTES:
        return False
    return size_bytes % WORD_BYTES == 0 or target_offset + size_bytes == target_bytes


class Window(NamedTuple):
    """A part of a buffer that fits a binding: ``size_bytes`` bytes from ``base``."""

    base: int
    size_bytes: int


def window(
    start: int, end: int, buffer_bytes: int, *, max_binding_bytes: int, alignment_bytes: int
) -> Window:
    """The window to bind for the bytes from ``start`` to ``end``.

    It is the whole buffer if a binding can hold that, and otherwise the part around these bytes.
    """
    if buffer_bytes <= max_binding_bytes:
        return Window(0, buffer_bytes)
    base = start // alignment_bytes * alignment_bytes
    return Window(base, words_up(end) - base)


def aligned_up(size_bytes: int, alignment_bytes: int) -> int:
    """``size_bytes`` rounded up to a multiple of ``alignment_bytes``, a power of two."""
    return (size_bytes + alignment_bytes - 1) & -alignment_bytes


def most_piece_bytes(limits: Limits) -> int:
    """The most bytes that one dispatch can copy, at any offsets.

    The bytes are bound in a window, which must fit a binding.  The window may begin up to an
    alignment before the bytes, and end up to a word after them.  One invocation copies one word,
    and all workgroups lie along one dimension, so the device's limit for a dimension counts too.
    """
    window_bytes = limits.max_binding_bytes - limits.storage_offset_alignment_bytes
    group_bytes = limits.max_groups_per_dimension * COPY_BYTES.group_size * WORD_BYTES
    return min(_PIECE_BYTES, words_down(min(window_bytes, group_bytes) - WORD_BYTES))


def chunks(size_bytes: int, chunk_bytes: int) -> list[tuple[int, int]]:
    """``size_bytes`` split into (start, size) pieces of at most ``chunk_bytes``."""
    return [
        (start, min(chunk_bytes, size_bytes - start)) for start in range(0, size_bytes, chunk_bytes)
    ]
