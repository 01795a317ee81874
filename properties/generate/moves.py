"""The legal moves: each appends one op, or a few that belong together.

Bugs of deferred execution show only in situations that single random ops rarely make: many
dispatches in one batch, a buffer freed and allocated again at once, several reads in
flight.  Moves of several ops make these situations.  Invalid ops do not belong here.
"""

from collections.abc import Callable, Mapping, Sequence

from gpusim.limits import WORD_BYTES
from properties.generate.choices import Choices, Weights
from properties.generate.draft import Draft, LiveBuffer
from properties.generate.operands import (
    EDGES,
    Signature,
    draw_grid,
    draw_scalars,
    draw_size,
    draw_span,
)
from properties.generate.shape import MoveName, Shape

Move = Callable[[Choices, Draft, Shape], None]

_READS = Weights(("span", 4), ("whole", 5), ("written", 5))
_SMALL = (8, 4, 64, 5, 12)
_NUDGES = (0, 1, -1, 4, -4)
_MOST_LIVE = 12
_LEAST_ROOM_BYTES = 64


def alloc(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A new buffer; if as many are alive as the shape wants, usually one is freed first."""
    if len(draft.live) >= shape.live_buffers and choices.chance(7, 8):
        free(choices, draft, shape)
    if len(draft.live) >= _MOST_LIVE or draft.room_bytes < _LEAST_ROOM_BYTES:
        free(choices, draft, shape)
    real = bool(shape.real_buffers) and choices.chance(1, shape.real_buffers)
    make(choices, draft, real)


def make(choices: Choices, draft: Draft, real: bool, least: int = 0) -> LiveBuffer:
    """Allocate a buffer within the memory budget; a float buffer has whole words only."""
    if draft.palette and choices.chance(7, 8):
        drawn = min(choices.pick(draft.palette), draft.room_bytes)
    else:
        drawn = draw_size(choices, draft.room_bytes)
    size = max(drawn, least)
    return draft.alloc(size // WORD_BYTES * WORD_BYTES if real else size, real)


def write(choices: Choices, draft: Draft, shape: Shape) -> None:
    """New bytes, or at times the last write again; a runtime might wrongly skip the repeat."""
    if draft.can_repeat and choices.chance(1, 12):
        draft.repeat()
        return
    buffer = any_buffer(choices, draft)
    draft.write(buffer, *span_of(choices, buffer))


def copy(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy between float buffers or between integer buffers; at times both are one buffer."""
    target = any_buffer(choices, draft)
    source = target if choices.chance(1, 4) else _hot(choices, _alike(draft, target))
    if not target.real and choices.chance(1, 6):
        _copy_to_the_end(choices, draft, source, target)
        return
    source_offset, size = span_of(choices, source)
    size = min(size, target.size_bytes)
    last = target.size_bytes - size
    if source is target and choices.chance(1, 2):
        target_offset = min(max(source_offset + choices.pick(_NUDGES), 0), last)
    elif choices.chance(1, 3):
        target_offset = last
    else:
        target_offset = min(choices.pick(EDGES), last)
    if target.real:
        target_offset -= target_offset % WORD_BYTES
    draft.copy(source, source_offset, target, target_offset, size)


def _copy_to_the_end(
    choices: Choices, draft: Draft, source: LiveBuffer, target: LiveBuffer
) -> None:
    """A copy at word offsets that ends where source or target ends, or up to 3 bytes before."""
    source_offset, target_offset = (
        min(WORD_BYTES * choices.integer(0, 4), buffer.size_bytes // WORD_BYTES * WORD_BYTES)
        for buffer in (source, target)
    )
    room = min(source.size_bytes - source_offset, target.size_bytes - target_offset)
    size = max(room - choices.pick((0, 0, 1, 2, 3)), 0)  # Rounded up, it may pass the end.
    draft.copy(source, source_offset, target, target_offset, size)


def read(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A read, often of the buffer written last, since a read of another buffer shows little."""
    buffer = any_buffer(choices, draft)
    if draft.recent and (buffer.writers < 2 or choices.chance(2, 5)):
        buffer = draft.recent
    kind = choices.weighted(_READS)
    if kind == "whole":
        draft.read(buffer, 0, buffer.size_bytes)
    elif kind == "written":
        offset = min(max(buffer.written_offset + choices.pick(_NUDGES), 0), buffer.size_bytes)
        size = max(buffer.written_bytes + choices.pick(_NUDGES), 0)
        draft.read(buffer, offset, min(size, buffer.size_bytes - offset))
    else:
        draft.read(buffer, *draw_span(choices, buffer.size_bytes))


def free(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A free, often of a buffer of the last dispatch; a batch may still need that buffer."""
    if draft.dispatched and choices.chance(1, 2):
        draft.free(choices.pick(draft.dispatched[-1][1]))
    elif draft.live:
        draft.free(choices.pick(draft.live))


def flush(choices: Choices, draft: Draft, shape: Shape) -> None:
    draft.flush()


def sync(choices: Choices, draft: Draft, shape: Shape) -> None:
    draft.sync()


def dispatch(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A kernel over live buffers, at times over those of a recent dispatch."""
    like_before = bool(draft.dispatched) and choices.chance(3, 10)
    if like_before:
        signature, buffers = _like_before(choices, draft, shape)
    else:
        signature = choices.weighted(shape.kernels)
        bound = bind(choices, draft, signature) if _allowed(draft, signature) else None
        if bound is None:
            return
        buffers = bound
    if _allowed(draft, signature):
        launch(choices, draft, signature, buffers, like_before=like_before)


def _allowed(draft: Draft, signature: Signature) -> bool:
    return draft.floats_allowed or not signature.real


def _like_before(
    choices: Choices, draft: Draft, shape: Shape
) -> tuple[Signature, tuple[LiveBuffer, ...]]:
    """One of the last two dispatches again: the same, or with another kernel or other buffers.

    A cache keyed by kernel and buffers must find the same dispatch again, and must miss if the
    kernel or a buffer differs.
    """
    signature, buffers = draft.dispatched[-1 - choices.integer(0, 1) % len(draft.dispatched)]
    if len(set(buffers)) < len(buffers):
        return signature, buffers
    if choices.chance(1, 3):
        other = choices.weighted(shape.kernels)
        return (other if other.floats == signature.floats else signature), buffers
    if len(set(signature.floats)) == 1 and choices.chance(1, 4):
        return signature, buffers[::-1]
    if draft.palette and choices.chance(1, 5):
        return signature, _with_another(choices, draft, buffers)
    return signature, buffers


def twins(draft: Draft, one: LiveBuffer) -> list[LiveBuffer]:
    """The other live buffers of the same kind and size."""
    kin = _alike(draft, one)
    return [other for other in kin if other is not one and other.size_bytes == one.size_bytes]


def _with_another(
    choices: Choices, draft: Draft, buffers: tuple[LiveBuffer, ...]
) -> tuple[LiveBuffer, ...]:
    """The same buffers, with one replaced by another of its size, if there is such a buffer."""
    at = choices.integer(0, len(buffers) - 1)
    old = buffers[at]
    others = [one for one in twins(draft, old) if one not in buffers]
    return (*buffers[:at], choices.pick(others), *buffers[at + 1 :]) if others else buffers


def launch(
    choices: Choices,
    draft: Draft,
    signature: Signature,
    buffers: tuple[LiveBuffer, ...],
    *,
    like_before: bool = False,
) -> None:
    """One dispatch of a kernel over buffers that fit it."""
    scalars = draw_scalars(choices, signature, draft.take_dispatch_number())
    last = draft.scalars.get(signature.parameters)
    if last and choices.chance(1, 3 if like_before else 6):
        scalars = near(choices, last, scalars)
    words = max([buffer.size_bytes for buffer in buffers]) // WORD_BYTES
    draft.dispatch(signature, buffers, scalars, draw_grid(choices, signature, words, draft.limits))


def near(
    choices: Choices, last: tuple[int | float, ...], new: tuple[int | float, ...]
) -> tuple[int | float, ...]:
    """``last``, scalars of an earlier dispatch; at times one is from ``new`` or differs in a bit.

    A cache keyed by content must find equal scalars again, and must miss if one of them differs,
    even in its last bit only.
    """
    if choices.chance(2, 3):
        return last
    position = choices.integer(0, len(last) - 1)
    changed, old = new[position], last[position]
    if type(old) is int and choices.chance(1, 2):
        changed = old ^ 1
    return (*last[:position], changed, *last[position + 1 :])


def bind(choices: Choices, draft: Draft, signature: Signature) -> tuple[LiveBuffer, ...] | None:
    """Buffers that fit a kernel.  If one is missing, it is made; None if it cannot be made.

    A buffer that the kernel writes is bound once; one that it only reads may be bound again.
    """
    chosen: dict[int, LiveBuffer] = {}
    taken: list[LiveBuffer] = []
    for wanted in (True, False):
        for position, written in enumerate(signature.written):
            if written is wanted:
                buffer = _fitting(choices, draft, signature.floats[position], taken)
                if buffer is None:
                    return None
                chosen[position] = buffer
                if written:
                    taken.append(buffer)
    return tuple([chosen[position] for position in range(len(chosen))])


def _fitting(
    choices: Choices, draft: Draft, real: bool, taken: Sequence[LiveBuffer]
) -> LiveBuffer | None:
    pool = [buffer for buffer in draft.bindable(real) if buffer not in taken]
    if pool:
        return _hot(choices, pool)
    if draft.room_bytes < WORD_BYTES or draft.limits.max_binding_bytes < WORD_BYTES:
        return None
    buffer = make(choices, draft, real, least=WORD_BYTES)
    return buffer if buffer.size_bytes <= draft.limits.max_binding_bytes else None


def burst(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Many dispatches with no read between them, some of them over the same buffers."""
    for _ in range(choices.integer(3, 16)):
        dispatch(choices, draft, shape)


def scatter(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Many small writes into a buffer of the last dispatch; they fill the upload buffer."""
    dispatch(choices, draft, shape)
    pool = draft.dispatched[-1][1] if draft.dispatched else [any_buffer(choices, draft)]
    buffer = choices.pick(pool)
    size = min(choices.pick(_SMALL), buffer.size_bytes)
    if buffer.real:
        size -= size % WORD_BYTES
    for _ in range(choices.integer(6, 24)):
        offset = choices.integer(0, buffer.size_bytes - size)
        if buffer.real or choices.chance(1, 2):
            offset -= offset % WORD_BYTES
        draft.write(buffer, offset, size)


def recycle(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Free a buffer and allocate one like it at once, so that recycled resources collide."""
    if not draft.live:
        return
    again = draft.dispatched[-1] if draft.dispatched and choices.chance(1, 2) else None
    old = again[1][-1] if again else choices.pick(draft.live)
    draft.free(old)
    new = draft.alloc(old.size_bytes, old.real)
    if again and _allowed(draft, again[0]):
        buffers = tuple([new if buffer is old else buffer for buffer in again[1]])
        launch(choices, draft, again[0], buffers)
    if choices.chance(1, 3):
        draft.read(new, 0, new.size_bytes)


def reads(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Several reads in flight, then mostly a sync."""
    for _ in range(choices.integer(2, 4)):
        read(choices, draft, shape)
    if choices.chance(2, 3):
        draft.sync()


def read_after_sync(choices: Choices, draft: Draft, shape: Shape) -> None:
    draft.sync()
    read(choices, draft, shape)


def write_after_read(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A read, then a write to its bytes; the read must not see the write."""
    buffer = any_buffer(choices, draft)
    offset, size = span_of(choices, buffer)
    draft.read(buffer, offset, size)
    draft.write(buffer, offset, size)


def chain(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A write, a dispatch over the written buffer, perhaps another write to it, and a read."""
    signature = choices.weighted(shape.kernels)
    if not _allowed(draft, signature):
        return
    buffers = bind(choices, draft, signature)
    if buffers is None:
        return
    buffer = choices.pick(buffers)
    draft.write(buffer, *span_of(choices, buffer))
    launch(choices, draft, signature, buffers)
    if choices.chance(1, 2):
        draft.write(buffer, *span_of(choices, buffer))
    read(choices, draft, shape)


def twin(choices: Choices, draft: Draft, shape: Shape) -> None:
    """A copy of a buffer over one of its ``twins``; then mostly one of the two is changed or freed.

    A runtime that lets both share memory shows the change in both.  Another copy may follow.
    """
    source = any_buffer(choices, draft)
    pool = twins(draft, source)
    if not pool and (len(draft.live) >= _MOST_LIVE or source.size_bytes > draft.room_bytes):
        return
    target = choices.pick(pool) if pool else draft.alloc(source.size_bytes, source.real)
    draft.copy(source, 0, target, 0, source.size_bytes)
    changed, other = (source, target) if choices.chance(1, 2) else (target, source)
    match choices.integer(0, 4):
        case 0:
            draft.write(changed, *span_of(choices, changed))
        case 1:
            draft.write(changed, 0, changed.size_bytes)
        case 2:
            change(choices, draft, shape, changed)
        case 3:
            draft.free(changed)
    if changed in draft.live and choices.chance(1, 4):
        source, other = choices.pick(((changed, other), (other, changed)))
        draft.copy(source, 0, other, 0, source.size_bytes)
    if choices.chance(3, 4):
        draft.read(other, 0, other.size_bytes)


def change(choices: Choices, draft: Draft, shape: Shape, buffer: LiveBuffer) -> None:
    """A dispatch that writes ``buffer``, if the drawn kernel can."""
    signature = choices.weighted(shape.kernels)
    if not _allowed(draft, signature) or buffer not in draft.bindable(buffer.real):
        return
    bound = bind(choices, draft, signature)
    at = signature.written.index(True) if True in signature.written else 0
    if bound is None or buffer in bound or signature.floats[at] is not buffer.real:
        return
    launch(choices, draft, signature, (*bound[:at], buffer, *bound[at + 1 :]))


def any_buffer(choices: Choices, draft: Draft) -> LiveBuffer:
    return _hot(choices, draft.live) if draft.live else make(choices, draft, False)


def _hot(choices: Choices, pool: Sequence[LiveBuffer]) -> LiveBuffer:
    """One of ``pool``, older buffers more often, so that some are used much and others little."""
    last = len(pool) - 1
    return pool[min(choices.integer(0, last), choices.integer(0, last))]


def _alike(draft: Draft, other: LiveBuffer) -> Sequence[LiveBuffer]:
    return [buffer for buffer in draft.live if buffer.real is other.real]


def span_of(choices: Choices, buffer: LiveBuffer) -> tuple[int, int]:
    offset, size = draw_span(choices, buffer.size_bytes)
    if buffer.real:
        return offset - offset % WORD_BYTES, size - size % WORD_BYTES
    return offset, size


MOVES: Mapping[MoveName, Move] = {
    "write": write,
    "dispatch": dispatch,
    "read": read,
    "alloc": alloc,
    "copy": copy,
    "free": free,
    "flush": flush,
    "sync": sync,
    "burst": burst,
    "scatter": scatter,
    "recycle": recycle,
    "reads": reads,
    "read_after_sync": read_after_sync,
    "write_after_read": write_after_read,
    "chain": chain,
    "twin": twin,
}
"""The moves of this file, by their names in a shape."""
