"""Moves that add ops which share few bytes or none, and moves that capture and replay graphs.

The bytes that two ops share decide whether one must wait for the other.  The first moves make ops
that share one word, or no buffer at all.

A replay runs its commands as if they were called now.  So every buffer that was freed since the
capture is replaced by a live one, and at times a live buffer is replaced too.  Other legal moves
are in ``moves``.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, compress, permutations

from gpusim.limits import WORD_BYTES
from gpusim.ops import GRID_BYTES, Copy, DispatchIndirect
from properties.generate.choices import Choices, Weights
from properties.generate.draft import (
    Draft,
    DraftedGraph,
    LiveBuffer,
    Step,
    is_in_words,
)
from properties.generate.moves import (
    Move,
    any_buffer,
    bind,
    change,
    copy,
    dispatch,
    flush,
    launch,
    near,
    span_of,
    sync,
)
from properties.generate.operands import draw_counts, draw_scalars
from properties.generate.places import indirect, launch_indirect, parts
from properties.generate.shape import MoveName, Shape

_LEAST_WORDS = 6


def brush(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy into a buffer's middle, then writes that share a word with what was written so far."""
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
    """Ops on bytes that are not whole words: runtimes run them as dispatches, in shared passes."""
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
    halves = [turned[:half], turned[half:]]
    grids = [buffer for buffer in draft.counting() if buffer in pool]
    if draft.indirect and grids and len(pool) > 2 and choices.chance(2, 3):
        counts = choices.pick(grids)
        others = [buffer for buffer in turned if buffer is not counts]
        halves = [[counts, others[0]], others[1:]]
        if choices.chance(1, 2):
            halves = halves[::-1]
    for turn, some in enumerate(halves):
        boundary = choices.pick((None, flush, sync, None)) if turn else None
        if boundary is not None:
            boundary(choices, draft, shape)
        if len(some) == 2 and some[0] in grids and choices.chance(4, 5):
            _dispatch_over(choices, draft, shape, some)
        else:
            _op_over(choices, draft, shape, some)


def _op_over(choices: Choices, draft: Draft, shape: Shape, pool: Sequence[LiveBuffer]) -> None:
    """One op over buffers of ``pool`` and no others."""
    kind = choices.pick(("copy", "write", "dispatch", "read", "copy"))
    first, last = pool[0], pool[-1]
    if kind == "dispatch":
        _dispatch_over(choices, draft, shape, pool)
    elif kind == "copy":
        most = min(first.size_bytes, last.size_bytes - 1)
        draft.copy(first, 0, last, choices.pick((1, 0)), choices.integer(1, max(most, 1)))
    elif kind == "write":
        draft.write(first, *span_of(choices, first))
    else:
        draft.read(first, 0, first.size_bytes)


def _dispatch_over(
    choices: Choices, draft: Draft, shape: Shape, pool: Sequence[LiveBuffer]
) -> None:
    """A dispatch over buffers of ``pool``, mostly with its grid in a further buffer of ``pool``."""
    grids = [buffer for buffer in draft.counting() if buffer in pool] if draft.indirect else []
    counts = choices.pick(grids) if grids and choices.chance(4, 5) else None
    bindable = [one for one in draft.bindable(False) if one in pool and one is not counts]
    most = len(bindable)
    fitting = [one for one in shape.kernels.items if len(one.written) <= most and not one.real]
    if not fitting:
        return
    signature = choices.pick(fitting)
    bound = tuple(bindable[: len(signature.written)])
    if counts is None:
        launch(choices, draft, signature, bound)
    else:
        launch_indirect(choices, draft, signature, bound, counts, 0)


NEIGHBOUR_MOVES: Mapping[MoveName, Move] = {
    "odd_bytes": odd_bytes,
    "apart": apart,
    "brush": brush,
}


_LENGTHS = Weights((1, 6), (2, 8), (3, 6), (5, 4), (8, 3), (14, 2), (0, 1))
_RESETS = 3
"""One graph in this many begins with a copy of a whole buffer."""
_TIMES = Weights((1, 4), (2, 2), (4, 1))
_SCALARS = Weights(("new", 5), ("captured", 3), ("some", 3))

Swaps = Mapping[LiveBuffer, LiveBuffer]
Entries = tuple[tuple[int | float, ...] | None, ...]
"""Scalars for each dispatch of a graph; None keeps those of the capture."""


def capture(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A graph of a few commands."""
    draft.capture(draw_steps(choices, draft, shape))


def draw_steps(choices: Choices, draft: Draft, shape: Shape) -> tuple[Step, ...]:
    """Commands to capture, mostly dispatches; in half of the graphs copies are of whole buffers."""
    length = choices.weighted(_LENGTHS)
    draft.begin_capture()
    copies = choices.pick((copy, _copy_whole))
    if choices.chance(1, _RESETS):
        _copy_whole(choices, draft, shape)
    for _ in range(length):
        if draft.live and choices.chance(1, 4):
            copies(choices, draft, shape)
        elif draft.indirect and choices.chance(1, 5):
            indirect(choices, draft, shape)
        elif draft.parts and choices.chance(1, 6):
            parts(choices, draft, shape)
        else:
            dispatch(choices, draft, shape)
    return draft.end_capture()


def _copy_whole(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy over a whole buffer, as a reset does it, or of a whole buffer into a longer one."""
    pairs = [pair for pair in permutations(draft.live, 2) if pair[0].real is pair[1].real]
    alike = [pair for pair in pairs if pair[0].size_bytes == pair[1].size_bytes]
    if pairs:
        source, target = choices.pick(alike if alike and choices.chance(2, 3) else pairs)
        size = min(source.size_bytes, target.size_bytes)
        words = (target.size_bytes - size) // WORD_BYTES
        offset = WORD_BYTES * choices.integer(0, words) if choices.chance(1, 2) else 0
        draft.copy(source, 0, target, offset, size)


def _spoil(choices: Choices, draft: Draft, shape: Shape, graph: DraftedGraph, swaps: Swaps) -> None:
    """At times change a buffer that the graph then overwrites whole; often submit the change."""
    for step in graph.steps:
        if not isinstance(step.command, Copy):
            continue
        target = swaps.get(step.buffers[1], step.buffers[1])
        if step.command.size_bytes == target.size_bytes and choices.chance(2, 3):
            change(choices, draft, shape, target)
            if choices.chance(2, 3):
                flush(choices, draft, shape)
            return


def replay(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A graph replayed once or a few times; it is captured first if there is none."""
    if not draft.graphs or choices.chance(1, 6):
        capture(choices, draft, shape)
    graph = draft.graphs[-1 - choices.integer(0, min(1, len(draft.graphs) - 1))]
    swaps: Swaps | None = None
    for turn in range(choices.weighted(_TIMES)):
        if turn:
            _between(choices, draft, shape)
        if swaps is None or choices.chance(1, 2) or not fits(draft, graph, swaps):
            swaps = draw_swaps(choices, draft, graph)
        if swaps is None or not _allowed(draft, graph):
            return
        _spoil(choices, draft, shape, graph, swaps)
        if not finds_grids(graph, swaps):
            _write_grids(choices, draft, graph, swaps)
            if not finds_grids(graph, swaps):
                return
        draft.replay(graph, draw_entries(choices, draft, graph), swaps)


def _write_grids(choices: Choices, draft: Draft, graph: DraftedGraph, swaps: Swaps) -> None:
    """Write counts over each buffer that a graph reads a grid from."""
    indirect = [step for step in graph.steps if isinstance(step.command, DispatchIndirect)]
    for counts in dict.fromkeys(swaps.get(step.buffers[-1], step.buffers[-1]) for step in indirect):
        if not counts.real:
            words = counts.size_bytes // WORD_BYTES
            draft.write_counts(counts, 0, draw_counts(choices, words))


def _between(choices: Choices, draft: Draft, shape: Shape) -> None:
    """At times a dispatch of many scalars, or copies: less room is left for the next replay."""
    match choices.integer(0, 2):
        case 0:
            _dispatch_widest(choices, draft, shape)
        case 1:
            if choices.chance(1, 2):
                flush(choices, draft, shape)
            pool = [one for one in draft.live if not one.real and one.size_bytes >= WORD_BYTES]
            for _ in range(choices.integer(1, 3) if len(pool) > 1 else 0):
                at = choices.integer(0, len(pool) - 1)
                draft.copy(pool[at], 0, pool[at - 1], 0, WORD_BYTES)


def _dispatch_widest(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A dispatch with the most scalars; those of later dispatches may then lie at other offsets."""
    signature = max(shape.kernels.items, key=lambda one: len(one.scalars))
    buffers = bind(choices, draft, signature)
    if buffers is not None and (draft.floats_allowed or not signature.real):
        launch(choices, draft, signature, buffers)


def draw_entries(choices: Choices, draft: Draft, graph: DraftedGraph) -> Entries | None:
    """Scalars for each dispatch of a graph: new, as captured, almost as captured, or all zero."""
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
        scalars = draw_scalars(choices, step.signature, number := draft.take_dispatch_number())
        if step.command.scalars and choices.chance(1, 6):
            scalars = near(choices, step.command.scalars, scalars)
        if number % 12 == 5:
            scalars = tuple([type(one)() for one in scalars])
        entries.append(scalars)
    return tuple(entries)


def draw_swaps(choices: Choices, draft: Draft, graph: DraftedGraph) -> Swaps | None:
    """Buffers that take the place of freed buffers, and at times of live ones.

    None if nothing fits in the place of a freed buffer.
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
    # Too much was swapped.  Now only freed buffers are replaced, each by a different buffer.
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


def finds_grids(graph: DraftedGraph, swaps: Swaps) -> bool:
    """Whether every indirect dispatch of a graph finds a grid of few groups."""
    spoilt: list[LiveBuffer] = []
    for step in graph.steps:
        buffers = tuple(swaps.get(buffer, buffer) for buffer in step.buffers)
        counts = buffers[-1]
        is_unfit = counts.real or not counts.counts or counts in spoilt
        if isinstance(step.command, DispatchIndirect) and is_unfit:
            return False
        spoilt += _spoilt_by(step, buffers, spoilt)
    return True


def _spoilt_by(
    step: Step, buffers: Sequence[LiveBuffer], spoilt: Sequence[LiveBuffer]
) -> list[LiveBuffer]:
    """Those of ``buffers`` that hold no usable grid any more once ``step`` has run over them."""
    if isinstance(step.command, Copy):
        source, target = buffers
        is_sound = source.counts and source not in spoilt and is_in_words(step.command)
        return [] if is_sound else [target]
    assert step.signature is not None
    return [] if step.signature.counts else list(compress(buffers, step.signature.written))


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
    bound = list(zip(buffers, step.spans, step.signature.written, strict=False))
    ranges = [_range(buffer, span) for buffer, span, _ in bound]
    most = draft.limits.max_binding_bytes
    inside = all(
        end <= buffer.size_bytes and WORD_BYTES <= end - start <= most
        for buffer, (start, end) in zip(buffers, ranges, strict=False)
    )
    written = [buffer for buffer, _, writes in bound if writes]
    if isinstance(step.command, DispatchIndirect):
        counts, end = buffers[-1], step.command.offset + GRID_BYTES
        inside = inside and end <= counts.size_bytes and counts not in written
    return inside and not _is_aliased(bound, ranges)


def _range(buffer: LiveBuffer, span: tuple[int, int]) -> tuple[int, int]:
    offset, size_bytes = span
    return offset, buffer.size_bytes if size_bytes < 0 else offset + size_bytes


def _is_aliased(
    bound: Sequence[tuple[LiveBuffer, tuple[int, int], bool]], ranges: Sequence[tuple[int, int]]
) -> bool:
    """Whether one buffer is bound to read and to write, or twice to write where ranges overlap."""
    pairs = combinations(zip(bound, ranges, strict=True), 2)
    return any(
        one is other and (writes or also) and (writes != also or (start < stop and begin < end))
        for ((one, _, writes), (start, end)), ((other, _, also), (begin, stop)) in pairs
    )


def _allowed(draft: Draft, graph: DraftedGraph) -> bool:
    floats = (step.signature.real for step in graph.steps if step.signature is not None)
    return draft.floats_allowed or not any(floats)


GRAPH_MOVES: Mapping[MoveName, Move] = {"capture": capture, "replay": replay}
"""The moves for targets that replay, by their names in a shape."""
