"""Moves of ops that touch the same bytes or narrowly do not; and moves of captured graphs.

The bytes that two ops share decide whether one has to wait for the other.  The ops of the first
moves share one word, or no buffer.

A replay runs its commands as if they were called now.  So buffers that have been freed since need
others in their place, and some of the rest are replaced too.  Other legal moves are in ``moves``.
"""

from collections.abc import Mapping, Sequence

from gpusim.limits import WORD_BYTES
from gpusim.ops import Copy
from properties.generate.choices import Choices, Weights
from properties.generate.draft import Draft, DraftedGraph, LiveBuffer, Step
from properties.generate.moves import (
    Move,
    any_buffer,
    bind,
    copy,
    dispatch,
    flush,
    launch,
    near,
    span_of,
    sync,
)
from properties.generate.operands import draw_scalars
from properties.generate.shape import MoveName, Shape

_LEAST_WORDS = 6


def brush(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy into the middle of a buffer, then writes that each share a word with the copy."""
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
    """Ops on bytes that are not whole words: they run as dispatches, in a pass with others."""
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


_LENGTHS = Weights((1, 6), (2, 8), (3, 6), (5, 4), (8, 3), (14, 2), (0, 1))
_TIMES = Weights((1, 4), (2, 2), (4, 1))
_SCALARS = Weights(("new", 5), ("captured", 3), ("some", 3))

Swaps = Mapping[LiveBuffer, LiveBuffer]
Entries = tuple[tuple[int | float, ...] | None, ...]
"""Scalars for each dispatch of a graph; None keeps those of the capture."""


def capture(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A graph of a few commands."""
    draft.capture(draw_steps(choices, draft, shape))


def draw_steps(choices: Choices, draft: Draft, shape: Shape) -> tuple[Step, ...]:
    """Commands to be captured, mostly dispatches."""
    length = choices.weighted(_LENGTHS)
    draft.begin_capture()
    for _ in range(length):
        if draft.live and choices.chance(1, 4):
            copy(choices, draft, shape)
        else:
            dispatch(choices, draft, shape)
    return draft.end_capture()


def replay(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A graph replayed once or a few times, and captured first where there is none."""
    if not draft.graphs or choices.chance(1, 6):
        capture(choices, draft, shape)
    graph = draft.graphs[-1 - choices.integer(0, min(1, len(draft.graphs) - 1))]
    swaps: Swaps | None = None
    for turn in range(choices.weighted(_TIMES)):
        if turn and choices.chance(1, 3):
            _dispatch_widest(choices, draft, shape)
        if swaps is None or choices.chance(1, 2) or not fits(draft, graph, swaps):
            swaps = draw_swaps(choices, draft, graph)
        if swaps is None or not _allowed(draft, graph):
            return
        draft.replay(graph, draw_entries(choices, draft, graph), swaps)


def _dispatch_widest(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A dispatch with the most scalars, which may move the uniforms of a graph."""
    signature = max(shape.kernels.items, key=lambda one: len(one.scalars))
    buffers = bind(choices, draft, signature)
    if buffers is not None and (draft.floats_allowed or not signature.real):
        launch(choices, draft, signature, buffers)


def draw_entries(choices: Choices, draft: Draft, graph: DraftedGraph) -> Entries | None:
    """Scalars for each dispatch of a graph: new, or near those of the capture, or the same."""
    kind = choices.weighted(_SCALARS)
    if kind == "captured":
        return None
    entries: list[tuple[int | float, ...] | None] = []
    for step in graph.steps:
        if step.signature is None or isinstance(step.command, Copy):
            continue
        if kind == "some" and choices.chance(1, 2):
            entries.append(None)
            continue
        scalars = draw_scalars(choices, step.signature, draft.take_dispatch_number())
        if step.command.scalars and choices.chance(1, 6):
            scalars = near(choices, step.command.scalars, scalars)
        entries.append(scalars)
    return tuple(entries)


def draw_swaps(choices: Choices, draft: Draft, graph: DraftedGraph) -> Swaps | None:
    """Buffers in place of those that are freed, and at times of others.

    None where nothing fits in the place of a freed buffer.
    """
    swaps: dict[LiveBuffer, LiveBuffer] = {}
    for buffer in graph.buffers:
        gone = buffer not in draft.live
        if gone or choices.chance(1, 5):
            pool = [other for other in draft.live if other.real is buffer.real]
            if pool:
                swaps[buffer] = choices.pick(pool)
    if fits(draft, graph, swaps):
        return swaps
    # One at a time, each kept only if the graph still fits.
    kept: dict[LiveBuffer, LiveBuffer] = {}
    for buffer in graph.buffers:
        if buffer not in draft.live:
            pool = [other for other in draft.live if other.real is buffer.real]
            taken = [other for other in pool if other not in kept.values()]
            if not taken:
                return None
            kept[buffer] = choices.pick(taken)
    return kept if fits(draft, graph, kept) else None


def fits(draft: Draft, graph: DraftedGraph, swaps: Swaps) -> bool:
    """Whether every command of the graph is legal over the swapped buffers."""
    return all(
        _fits(draft, step, tuple(swaps.get(buffer, buffer) for buffer in step.buffers))
        for step in graph.steps
    )


def _fits(draft: Draft, step: Step, buffers: tuple[LiveBuffer, ...]) -> bool:
    if any(buffer not in draft.live for buffer in buffers):
        return False
    if isinstance(step.command, Copy):
        source, target = buffers
        end, target_end = (
            offset + step.command.size_bytes
            for offset in (step.command.source_offset, step.command.target_offset)
        )
        return end <= source.size_bytes and target_end <= target.size_bytes
    assert step.signature is not None
    most = draft.limits.max_binding_bytes
    bound = zip(buffers, step.signature.written, strict=True)
    return all(WORD_BYTES <= buffer.size_bytes <= most for buffer in buffers) and not any(
        written and buffers.count(buffer) > 1 for buffer, written in bound
    )


def _allowed(draft: Draft, graph: DraftedGraph) -> bool:
    floats = (step.signature.real for step in graph.steps if step.signature is not None)
    return draft.floats_allowed or not any(floats)


GRAPH_MOVES: Mapping[MoveName, Move] = {"capture": capture, "replay": replay}
"""The moves for targets that replay, by their names in a shape."""
