"""The bytes of one buffer, and how far each of them can be trusted.

Only the moving of bytes and of their slack lives here.  Which op may do so is
for ``reference.checks``, and what a kernel makes of slack for
``reference.dispatching``.

Slack is a float32 a byte: 0 where the byte is exact, a relative tolerance where
it belongs to a float result, infinity where nothing is promised.  A finite
tolerance always covers an aligned word whole: half a float means nothing, since
two floats that nearly agree need not share a byte.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gpusim.limits import WORD_BYTES

Bytes = npt.NDArray[np.uint8]
Slack = npt.NDArray[np.float32]


@dataclass(eq=False, slots=True)
class Block:
    """One live buffer: its bytes, and their slack, None while all are exact."""

    data: Bytes
    slack: Slack | None = None
    size_bytes: int = field(init=False)
    words: int = field(init=False)
    """Whole words, which are all that a kernel reaches."""

    def __post_init__(self) -> None:
        self.size_bytes = len(self.data)
        self.words = self.size_bytes // WORD_BYTES


def zeros(size_bytes: int) -> Block:
    """A new block, all zero and exact."""
    return Block(np.zeros(size_bytes, dtype=np.uint8))


def put(block: Block, offset: int, data: bytes) -> None:
    """Exactly these bytes at ``offset``, and exact from now on."""
    block.data[offset : offset + len(data)] = np.frombuffer(data, dtype=np.uint8)
    _put_slack(block, offset, len(data), None)


def take(block: Block, offset: int, size_bytes: int) -> tuple[bytes, Slack | None]:
    """A copy of the bytes at ``offset``, and of their slack."""
    data = block.data[offset : offset + size_bytes].tobytes()
    return data, _take_slack(block, offset, size_bytes)


def move(source: Block, source_offset: int, target: Block, target_offset: int, size: int) -> None:
    """Copy ``size`` bytes as if through a copy of their own, so overlap is memmove."""
    data = source.data[source_offset : source_offset + size].copy()
    slack = _take_slack(source, source_offset, size)
    if slack is not None and (source_offset - target_offset) % WORD_BYTES:
        spoil(slack)
    target.data[target_offset : target_offset + size] = data
    _put_slack(target, target_offset, size, slack)


def spoil(slack: Slack) -> None:
    """Whatever was not exact is promised no longer, in place."""
    slack[slack > 0] = np.inf


def slack_of(block: Block) -> Slack:
    """The block's slack, made on first use."""
    if block.slack is None:
        block.slack = np.zeros(block.size_bytes, dtype=np.float32)
    return block.slack


def _take_slack(block: Block, offset: int, size: int) -> Slack | None:
    if block.slack is None:
        return None
    slack = block.slack[offset : offset + size].copy()
    if not slack.any():
        return None
    cut_at_start, cut_at_end = -offset % WORD_BYTES, (offset + size) % WORD_BYTES
    spoil(slack[:cut_at_start])
    spoil(slack[max(0, size - cut_at_end) :])
    return slack


def _put_slack(block: Block, offset: int, size: int, slack: Slack | None) -> None:
    if not size or (slack is None and block.slack is None):
        return
    end = offset + size
    whole = slack_of(block)
    whole[offset:end] = 0 if slack is None else slack
    spoil(whole[offset - offset % WORD_BYTES : offset])
    spoil(whole[end : end + -end % WORD_BYTES])
