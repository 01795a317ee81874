"""The moves with parts of buffers, and with grids that the GPU reads.

A grid that the GPU reads has few groups, or so many that every device runs none of them.  So every
program ends.  The grid is read only from a buffer in which every word is a small number or such a
large one; ``draft`` knows these buffers.
"""

from collections.abc import Mapping
from itertools import compress

from gpusim.limits import WORD_BYTES
from gpusim.ops import GRID_BYTES
from properties.generate.choices import Choices, Weights
from properties.generate.draft import Draft, LiveBuffer, Spans
from properties.generate.moves import Move, bind, near, read
from properties.generate.operands import Signature, draw_counts, draw_grid, draw_scalars
from properties.generate.shape import MoveName, Shape

_COUNT_WORDS = (4, 8, 3, 66)
_FAR_WORDS = (1 << 14) + 66
"""The size in words of a buffer whose last offsets, in bytes, do not fit into 16 bits.  Its grids
are in its last words."""
_FAR = 40
"""Of the new buffers for grids, one in this many has ``_FAR_WORDS``."""
_BEFORE = Weights(("write", 4), ("kernel", 4), ("copy", 3), ("nothing", 3))
_MOST_WRITTEN_WORDS = 4
_AFTER = Weights(("write", 5), ("read", 2), ("dispatch", 4), ("free", 2), ("nothing", 4))


def parts(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A dispatch over parts of buffers, at times over two parts of one."""
    signature = choices.weighted(shape.kernels)
    if signature.real and not draft.floats_allowed:
        return
    halves = _halves(choices, draft, signature)
    if halves is not None:
        _launch(choices, draft, signature, *halves)
        return
    buffers = bind(choices, draft, signature)
    if buffers is not None:
        _launch(choices, draft, signature, buffers, draw_spans(choices, draft, buffers))


def walk(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Dispatches over parts of one buffer, called and replayed by turns; then a write to one part.

    To see whether the write may overtake the batch, the batch must know which bytes each dispatch
    touches.
    """
    signature = choices.weighted(shape.kernels)
    buffers = bind(choices, draft, signature)
    if buffers is None or (signature.real and not draft.floats_allowed):
        return
    at = choices.integer(0, len(buffers) - 1)
    pieces = _pieces(choices, draft, buffers[at])
    first = choices.integer(0, 1)
    for turn, (offset, size) in enumerate(pieces):
        spans = [(offset, size) if place == at else None for place in range(len(buffers))]
        if (turn + first) % 2:
            draft.begin_capture()
            _launch(choices, draft, signature, buffers, spans)
            draft.capture(draft.end_capture())
            draft.replay(draft.graphs[-1], None, {})
        else:
            _launch(choices, draft, signature, buffers, spans)
    offset, size = choices.pick(pieces)
    words = size // WORD_BYTES
    start = choices.integer(0, words - 1)
    length = choices.integer(1, min(words - start, _MOST_WRITTEN_WORDS))
    draft.write(buffers[at], offset + start * WORD_BYTES, length * WORD_BYTES)
    if choices.chance(1, 2):
        draft.read(buffers[at], 0, buffers[at].size_bytes)


def _pieces(choices: Choices, draft: Draft, buffer: LiveBuffer) -> list[tuple[int, int]]:
    """Two or three parts of a buffer, which may overlap or be one and the same."""
    step = draft.limits.storage_offset_alignment_bytes
    whole = buffer.size_bytes // WORD_BYTES * WORD_BYTES
    last = (whole - WORD_BYTES) // step
    starts = [step * choices.integer(0, last) for _ in range(choices.integer(2, 3))]
    return [(start, choices.pick((min(step, whole - start), WORD_BYTES))) for start in starts]


def _launch(
    choices: Choices,
    draft: Draft,
    signature: Signature,
    buffers: tuple[LiveBuffer, ...],
    spans: Spans,
) -> None:
    scalars = draw_scalars(choices, signature, draft.take_dispatch_number())
    words = max([buffer.size_bytes for buffer in buffers]) // WORD_BYTES
    grid = draw_grid(choices, signature, words, draft.limits)
    draft.dispatch(signature, buffers, scalars, grid, spans)


def _halves(
    choices: Choices, draft: Draft, signature: Signature
) -> tuple[tuple[LiveBuffer, ...], Spans] | None:
    """For a kernel of two buffers, both written or both only read: two parts of one buffer.

    None if the kernel is not like this, or no buffer is long enough.
    """
    if len(signature.written) != 2 or len(set(signature.written)) > 1:
        return None
    step = draft.limits.storage_offset_alignment_bytes
    pool = [
        one for one in draft.bindable(signature.floats[0]) if one.size_bytes > step + WORD_BYTES
    ]
    if len(set(signature.floats)) > 1 or not pool:
        return None
    buffer = choices.pick(pool)
    cut = step * choices.integer(1, (buffer.size_bytes - WORD_BYTES) // step)
    spans = [(0, cut), (cut, buffer.size_bytes - cut)]
    return (buffer, buffer), spans[::-1] if choices.chance(1, 2) else spans


def draw_spans(choices: Choices, draft: Draft, buffers: tuple[LiveBuffer, ...]) -> Spans:
    """Draws for each buffer what is bound: all, all from an aligned offset on, or less of it."""
    step = draft.limits.storage_offset_alignment_bytes
    spans: list[tuple[int, int] | None] = []
    for buffer in buffers:
        offset = step * choices.integer(0, (buffer.size_bytes - WORD_BYTES) // step)
        size = rest = buffer.size_bytes - offset
        if choices.chance(1, 2):
            size = choices.integer(WORD_BYTES, rest)
        if buffer.real:
            size -= size % WORD_BYTES
        spans.append(None if choices.chance(1, 6) else (offset, size))
    return spans


def indirect(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A dispatch over a grid that was written before, and may be written again right after."""
    counts = _counts(choices, draft)
    if counts is None:
        return
    last = (counts.size_bytes - GRID_BYTES) // WORD_BYTES
    offset = WORD_BYTES * choices.integer(max(0, last - max(_COUNT_WORDS)), last)
    _prepare(choices, draft, shape, counts, offset)
    signature = choices.weighted(shape.kernels)
    buffers = bind(choices, draft, signature)
    if buffers is None or (signature.real and not draft.floats_allowed):
        return
    launch_indirect(choices, draft, signature, buffers, counts, offset)
    match choices.weighted(_AFTER):
        case "write":
            _write_grid(choices, draft, counts, offset)
        case "read" if not draft.is_capturing:
            draft.read(counts, offset, GRID_BYTES)
        case "free" if not draft.is_capturing:
            draft.free(counts)
        case "dispatch":
            for _ in range(choices.integer(1, 5)):
                launch_indirect(choices, draft, signature, buffers, counts, offset)
    if choices.chance(1, 3) and not draft.is_capturing:
        read(choices, draft, shape)


def launch_indirect(
    choices: Choices,
    draft: Draft,
    signature: Signature,
    buffers: tuple[LiveBuffer, ...],
    counts: LiveBuffer,
    offset: int,
) -> None:
    """One indirect dispatch over buffers that fit the kernel.

    No op if ``counts`` holds no grid, or if the dispatch would write ``counts``.
    """
    written = compress(buffers, signature.written)
    if counts not in draft.counting() or counts in written:
        return
    scalars = draw_scalars(choices, signature, draft.take_dispatch_number())
    last = draft.scalars.get(signature.parameters)
    if last and choices.chance(1, 6):
        scalars = near(choices, last, scalars)
    draft.dispatch_indirect(signature, buffers, scalars, counts, offset)


def _counts(choices: Choices, draft: Draft) -> LiveBuffer | None:
    """A buffer to read a grid from; None if there is no room for a new one."""
    pool = draft.counting()
    if pool and choices.chance(4, 5):
        return choices.pick(pool)
    words = choices.pick(_COUNT_WORDS)
    size = WORD_BYTES * (_FAR_WORDS if choices.chance(1, _FAR) else words)
    if draft.is_capturing or draft.room_bytes < size:
        return choices.pick(pool) if pool else None
    counts = draft.alloc(size, False)
    draft.write_counts(counts, size - WORD_BYTES * words, draw_counts(choices, words))
    return counts


def _prepare(choices: Choices, draft: Draft, shape: Shape, counts: LiveBuffer, offset: int) -> None:
    """At times put new counts in the place of the grid: by a host write, a kernel or a copy."""
    kind = choices.weighted(_BEFORE)
    others = [one for one in draft.counting() if one is not counts]
    if kind == "write":
        _write_grid(choices, draft, counts, offset)
    elif kind == "kernel" and shape.counting and counts in draft.bindable(False):
        signature = choices.pick(shape.counting)
        if len(signature.written) == 1:
            scalars = draw_scalars(choices, signature, draft.take_dispatch_number())
            words = counts.size_bytes // WORD_BYTES
            grid = draw_grid(choices, signature, words, draft.limits)
            draft.dispatch(signature, (counts,), scalars, grid)
    elif kind == "copy" and others:
        draft.copy(choices.pick(others), 0, counts, offset, GRID_BYTES)


def _write_grid(choices: Choices, draft: Draft, counts: LiveBuffer, offset: int) -> None:
    if not draft.is_capturing:
        draft.write_counts(counts, offset, draw_counts(choices, GRID_BYTES // WORD_BYTES))


INDIRECT_MOVES: Mapping[MoveName, Move] = {"indirect": indirect}
"""The moves for targets that read grids on the GPU."""
PART_MOVES: Mapping[MoveName, Move] = {"parts": parts}
"""The moves for targets that bind parts of buffers."""
WALK_MOVES: Mapping[MoveName, Move] = {"walk": walk}
"""The moves for targets that bind parts, and replay."""
