"""The bytes of one buffer, and how far each of them may be off.

Bytes and their error bounds are moved here, and nothing else is done with them: no op is
refused (``reference.checks``) and no kernel runs (``reference.dispatching``).

ErrorBounds has one float32 for each byte: 0 where the byte is exact, a relative tolerance where it
belongs to a float result, infinity where nothing is promised.  A finite tolerance always covers a
whole aligned word, because two floats that nearly agree may differ in each of their bytes.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gpusim.limits import WORD_BYTES

Bytes = npt.NDArray[np.uint8]
ErrorBounds = npt.NDArray[np.float32]


@dataclass(eq=False, slots=True)
class Block:
    """One live buffer: its bytes, and their error bounds (None: all bytes are exact)."""

    data: Bytes
    error_bound: ErrorBounds | None = None
    size_bytes: int = field(init=False)
    words: int = field(init=False)
    """The number of whole words; a kernel does not reach the bytes after these."""

    def __post_init__(self) -> None:
        self.size_bytes = len(self.data)
        self.words = self.size_bytes // WORD_BYTES


def zeros(size_bytes: int) -> Block:
    """A new block, all zero and exact."""
    return Block(np.zeros(size_bytes, dtype=np.uint8))


def part_of(block: Block, offset: int, size_bytes: int) -> Block:
    """A part of ``block`` as a block of its own, which shares bytes and bounds with ``block``."""
    end = offset + size_bytes
    return Block(block.data[offset:end], error_bound_of(block)[offset:end])


def put(block: Block, offset: int, data: bytes) -> None:
    """Store these bytes at ``offset``; they are exact from now on."""
    block.data[offset : offset + len(data)] = np.frombuffer(data, dtype=np.uint8)
    _put_error_bound(block, offset, len(data), None)


def take(block: Block, offset: int, size_bytes: int) -> tuple[bytes, ErrorBounds | None]:
    """A copy of the bytes at ``offset``, and their error bounds; None if all bytes are exact.

    In a word that the range cuts, a bound that is not 0 becomes infinite.
    """
    data = block.data[offset : offset + size_bytes].tobytes()
    return data, _take_error_bound(block, offset, size_bytes)


def move(source: Block, source_offset: int, target: Block, target_offset: int, size: int) -> None:
    """Copy ``size`` bytes, as memmove does: the two ranges may overlap."""
    data = source.data[source_offset : source_offset + size].copy()
    error_bound = _take_error_bound(source, source_offset, size)
    if error_bound is not None and (source_offset - target_offset) % WORD_BYTES:
        spoil(error_bound)
    target.data[target_offset : target_offset + size] = data
    _put_error_bound(target, target_offset, size, error_bound)


def spoil(error_bound: ErrorBounds) -> None:
    """Make every bound that is not 0 infinite, in place."""
    error_bound[error_bound > 0] = np.inf


def error_bound_of(block: Block) -> ErrorBounds:
    """The block's error bounds, made on first use."""
    if block.error_bound is None:
        block.error_bound = np.zeros(block.size_bytes, dtype=np.float32)
    return block.error_bound


def _take_error_bound(block: Block, offset: int, size: int) -> ErrorBounds | None:
    if block.error_bound is None:
        return None
    error_bound = block.error_bound[offset : offset + size].copy()
    if not error_bound.any():
        return None
    cut_at_start, cut_at_end = -offset % WORD_BYTES, (offset + size) % WORD_BYTES
    spoil(error_bound[:cut_at_start])
    spoil(error_bound[max(0, size - cut_at_end) :])
    return error_bound


def _put_error_bound(block: Block, offset: int, size: int, error_bound: ErrorBounds | None) -> None:
    if not size or (error_bound is None and block.error_bound is None):
        return
    end = offset + size
    whole = error_bound_of(block)
    whole[offset:end] = 0 if error_bound is None else error_bound
    spoil(whole[offset - offset % WORD_BYTES : offset])
    spoil(whole[end : end + -end % WORD_BYTES])
