"""The moves about how ops meet: in one word, in one pass, or in nothing at all.

Whether one op has to wait for another is decided by the bytes they share; these
share no more than one word, or no buffer.
"""

from collections.abc import Mapping, Sequence

from gpusim.limits import WORD_BYTES
from properties.programs.choices import Choices
from properties.programs.draft import Draft, LiveBuffer
from properties.programs.moves import (
    Move,
    any_buffer,
    dispatch,
    flush,
    launch,
    span_of,
    sync,
)
from properties.programs.shape import MoveName, Shape

_LEAST_WORDS = 6


def brush(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy into the middle of a buffer, then writes that each share a word with what is there."""
    pool = [buffer for buffer in draft.live if buffer.size_bytes >= _LEAST_WORDS * WORD_BYTES]
    if not pool:
        return
    target = choices.pick(pool)
    alike = [buffer for buffer in pool if buffer.real is target.real]
    words = target.size_bytes // WORD_BYTES
    low = choices.integer(1, words - 3)
    high = low + 2
    draft.copy(choices.pick(alike), 0, target, low * WORD_BYTES, (high - low) * WORD_BYTES)
    for _ in range(choices.integer(1, 3)):
        length = choices.integer(2, 4)
        if choices.chance(1, 2) and low > 0:
            start = max(0, low + 1 - length)
            end, low = low + 1, start
        else:
            start, end = high - 1, min(words, high - 1 + length)
            high = end
        draft.write(target, start * WORD_BYTES, (end - start) * WORD_BYTES)
    if choices.chance(1, 2):
        draft.read(target, 0, target.size_bytes)


def odd_bytes(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Bytes that are no whole words, one op after the other: those share a pass with dispatches."""
    for _ in range(choices.integer(2, 5)):
        match choices.integer(0, 4):
            case 0:
                dispatch(choices, draft, shape)
            case 1 | 2:
                _odd_write(choices, draft)
            case _:
                _odd_copy(choices, draft)


def _odd_write(choices: Choices, draft: Draft) -> None:
    buffer = any_buffer(choices, draft)
    if buffer.real or buffer.size_bytes < 2:
        return
    offset = choices.integer(0, (buffer.size_bytes - 2) // WORD_BYTES) * WORD_BYTES + 1
    draft.write(buffer, offset, min(choices.pick((1, 2, 3, 6)), buffer.size_bytes - offset))


def _odd_copy(choices: Choices, draft: Draft) -> None:
    source, target = (choices.pick(draft.live or [any_buffer(choices, draft)]) for _ in range(2))
    room = min(source.size_bytes, target.size_bytes - 1)
    if room > 0 and not source.real and not target.real:
        draft.copy(source, 0, target, 1, choices.integer(1, min(room, 9)))


def apart(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Two ops that share no buffer, and perhaps a flush or a sync between them."""
    pool = [buffer for buffer in draft.live if not buffer.real and buffer.size_bytes > 1]
    if len(pool) < 2:
        return
    start, half = choices.integer(0, len(pool) - 1), (len(pool) + 1) // 2
    turned = pool[start:] + pool[:start]
    _op_over(choices, draft, shape, turned[:half])
    boundary = choices.pick((None, flush, sync, None))
    if boundary is not None:
        boundary(choices, draft, shape)
    _op_over(choices, draft, shape, turned[half:])


def _op_over(choices: Choices, draft: Draft, shape: Shape, pool: Sequence[LiveBuffer]) -> None:
    """One op over buffers of ``pool`` and no others."""
    kind = choices.pick(("copy", "write", "dispatch", "read", "copy"))
    first, last = pool[0], pool[-1]
    if kind == "dispatch":
        signature = choices.weighted(shape.kernels)
        count = len(signature.written)
        bound = [buffer for buffer in draft.bindable(False) if buffer in pool][:count]
        if len(bound) == count and not signature.real:
            launch(choices, draft, signature, tuple(bound))
    elif kind == "copy":
        most = min(first.size_bytes, last.size_bytes - 1)
        draft.copy(first, 0, last, choices.pick((1, 0)), choices.integer(1, max(most, 1)))
    elif kind == "write":
        draft.write(first, *span_of(choices, first))
    else:
        draft.read(first, 0, first.size_bytes)


NEIGHBOUR_MOVES: Mapping[MoveName, Move] = {
    "odd_bytes": odd_bytes,
    "apart": apart,
    "brush": brush,
}
