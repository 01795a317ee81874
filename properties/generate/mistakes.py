"""The invalid ops, one function for each refusal; ``refused_dispatches`` has the dispatches.

Each function makes one op that must be refused and change nothing, or gives None if the draft lacks
what the mistake needs.  Legal ops do not belong here.  Handles of another runtime do not appear,
because a program cannot name them.
"""

from collections.abc import Callable

from gpusim.limits import WORD_BYTES
from gpusim.ops import (
    Alloc,
    Capture,
    Command,
    Copy,
    Free,
    Op,
    Read,
    Replay,
    Write,
)
from properties.generate.choices import Choices, Weights
from properties.generate.draft import Draft, DraftedGraph
from properties.generate.meetings import Entries, draw_entries, draw_steps, fits
from properties.generate.operands import EDGES, Signature, draw_scalars, draw_span
from properties.generate.refused_dispatches import BAD_SCALARS, bad_dispatch, orphaned_dispatch
from properties.generate.shape import Shape

_PAST = (1, 4, 3, 64, 2**31, 2**32)


def mistake(choices: Choices, draft: Draft, shape: Shape, *, replays: bool = True) -> None:
    """Append one op that is refused; a capture or replay only with ``replays``.

    Nothing is appended if the draft lacks what the drawn mistake needs.
    """
    scarce = draft.limits.memory_budget_bytes is not None and choices.chance(1, 3)
    make = _bad_alloc if scarce else choices.weighted(_MISTAKES)
    if make in _WITH_GRAPHS and not replays:
        make = bad_dispatch
    op = make(choices, draft, shape)
    if op is not None:
        draft.ops.append(op)


def _bad_alloc(choices: Choices, draft: Draft, shape: Shape) -> Op:
    most = draft.limits.max_buffer_bytes
    sizes = [-1, most + 1, -64, most + 4]
    if draft.limits.memory_budget_bytes is not None and draft.room_bytes < most:
        sizes += [draft.room_bytes + 1] * len(sizes)
    return Alloc(buffer=draft.new_name(), size_bytes=choices.pick(sizes))


def _double_free(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    return Free(buffer=choices.pick(draft.freed)) if draft.freed else None


def _bad_write(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    found = _outside(choices, draft)
    if found is None:
        return None
    name, offset, size = found
    # Data cannot have a negative length, and a huge one costs too much.
    data = draft.next_data(min(abs(size), 1024))
    return Write(buffer=name, offset=offset if size == len(data) else -1, data=data)


def _bad_read(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    found = _outside(choices, draft)
    if found is None:
        return None
    name, offset, size = found
    return Read(buffer=name, offset=offset, size_bytes=size, result=draft.new_result())


def _bad_copy(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    """A copy with a wrong source, a wrong target, or both."""
    if draft.live and choices.chance(1, 8):
        return _copy_without_room(choices, draft)
    found = _outside(choices, draft)
    if found is None or not draft.live:
        return None
    name, offset, size = found
    other = choices.pick(draft.live)
    other_offset = choices.pick((0, other.size_bytes, -1))
    if choices.chance(1, 2):
        name, offset, other_name, other_offset = other.name, other_offset, name, offset
    else:
        other_name = other.name
    return Copy(
        source=name,
        source_offset=offset,
        target=other_name,
        target_offset=other_offset,
        size_bytes=size,
    )


def _copy_without_room(choices: Choices, draft: Draft) -> Op:
    """A copy of nearly all of a buffer to where the target lacks room, mostly by a few bytes."""
    source, target = choices.pick(draft.live), choices.pick(draft.live)
    source_offset = min(choices.pick((0, 0, WORD_BYTES)), source.size_bytes)
    size_bytes = source.size_bytes - source_offset
    return Copy(
        source=source.name,
        source_offset=source_offset,
        target=target.name,
        target_offset=max(target.size_bytes - size_bytes + choices.pick((1, WORD_BYTES)), 0),
        size_bytes=size_bytes,
    )


def _outside(choices: Choices, draft: Draft) -> tuple[str, int, int] | None:
    """A buffer, an offset and a length, at least one of them wrong."""
    if draft.freed and choices.chance(1, 2):
        return choices.pick(draft.freed), choices.pick((0, 4, -1)), choices.pick(EDGES[:6])
    if not draft.live:
        return None
    buffer = choices.pick(draft.live)
    offset, size = draw_span(choices, buffer.size_bytes)
    match choices.integer(0, 3):
        case 0:
            size = buffer.size_bytes - offset + choices.pick(_PAST)
        case 1:
            offset, size = buffer.size_bytes + choices.pick(_PAST), choices.pick((0, 1, 4))
        case 2:
            offset = -choices.pick((1, 4, 3))
        case _:
            size = -choices.pick((1, 4, 3))
    return buffer.name, offset, size


def _bad_capture(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    """A capture of one bad command, alone or after good ones; it makes no graph."""
    bad = choices.pick((bad_dispatch, bad_dispatch, _bad_copy))(choices, draft, shape)
    if not isinstance(bad, Command):
        return None
    good = draw_steps(choices, draft, shape) if choices.chance(1, 2) else ()
    draft.refused_graphs.append(draft.new_graph())
    commands = (*(step.command for step in good), bad)
    return Capture(graph=draft.refused_graphs[-1], commands=commands)


def _bad_replay(choices: Choices, draft: Draft, shape: Shape) -> Op | None:
    """A replay without a graph, over a freed buffer, or with wrong operands."""
    if draft.refused_graphs and choices.chance(1, 6):
        return Replay(graph=choices.pick(draft.refused_graphs))
    if not draft.graphs:
        return None
    if draft.replayed is not None and choices.chance(1, 3):
        # The graph was replayed over these buffers before, so a runtime may skip the check of them,
        # and with it the check of the scalars.
        graph, bindings = draft.replayed
        scalars = _wrong_entries(choices, draft, graph, None)
        if scalars is None:
            return None
        return Replay(graph=graph.name, scalars=scalars, bindings=bindings)
    if choices.chance(1, 3):
        graph = choices.pick([one for one in draft.graphs if _floating(one)] or draft.graphs)
        entries = draw_entries(choices, draft, graph)
        scalars = _wrong_entries(choices, draft, graph, entries)
        return Replay(graph=graph.name, scalars=scalars) if scalars is not None else None
    graph = choices.pick(draft.graphs)
    entries = draw_entries(choices, draft, graph)
    swaps = _wrong_swaps(choices, draft, graph)
    if swaps is None:
        return None
    return Replay(graph=graph.name, scalars=entries, bindings=swaps)


def _wrong_entries(
    choices: Choices, draft: Draft, graph: DraftedGraph, entries: Entries | None
) -> Entries | None:
    """One entry too many or too few, or an entry with a scalar outside its type."""
    signatures = _signatures(graph)
    entries = entries or (None,) * len(signatures)
    if not signatures or choices.chance(1, 3):
        return (*entries, None) if choices.chance(1, 2) or not entries else entries[1:]
    # Packing a wrong integer raises, but packing a wrong float may not.  So a wrong float is drawn
    # more often.
    floating = _floating(graph)
    # A check of all scalars at once may look at wrong places, so a late dispatch is drawn often.
    late = floating[-1:] if choices.chance(1, 2) else floating
    at = choices.pick(late if late and choices.chance(3, 4) else range(len(signatures)))
    dtypes = signatures[at].scalars
    if not dtypes:
        return (*entries[:at], (1,), *entries[at + 1 :])
    # The other scalars are right, as ints and floats: a runtime may check all at once only then.
    right = draw_scalars(choices, signatures[at], draft.take_dispatch_number())
    floats = [place for place, dtype in enumerate(dtypes) if dtype == "f32"]
    position = choices.pick(floats or range(len(dtypes)))
    bad = choices.pick(BAD_SCALARS[dtypes[position]])
    wrong = (*right[:position], bad, *right[position + 1 :])
    return (*entries[:at], wrong, *entries[at + 1 :])


def _signatures(graph: DraftedGraph) -> list[Signature]:
    return [step.signature for step in graph.steps if step.signature is not None]


def _floating(graph: DraftedGraph) -> list[int]:
    """Which dispatches of ``graph``, counted from 0, have a float among their scalars."""
    return [at for at, one in enumerate(_signatures(graph)) if "f32" in one.scalars]


def _wrong_swaps(
    choices: Choices, draft: Draft, graph: DraftedGraph
) -> tuple[tuple[str, str], ...] | None:
    """Draws wrong swaps for a replay: pairs of a buffer to be replaced and one to take its place.

    None if the graph has no buffers, or if the drawn swaps turn out to be right.
    """
    if draft.live and choices.chance(1, 4):
        strangers = [buffer for buffer in draft.live if buffer not in graph.buffers]
        if strangers:
            return ((choices.pick(strangers).name, choices.pick(draft.live).name),)
    if not graph.buffers:
        return None
    if (short := _too_short(draft, graph)) and choices.chance(1, 2):
        return (choices.pick(short),)
    old = choices.pick(graph.buffers)
    if draft.freed and choices.chance(1, 3):
        return ((old.name, choices.pick(draft.freed)),)
    swaps = {}
    # Only buffers of the same kind: words of an integer buffer need not be valid floats.
    alike = [buffer for buffer in draft.live if buffer.real is old.real]
    if alike and choices.chance(2, 3):
        smallest = min(alike, key=lambda buffer: buffer.size_bytes)
        swaps[old] = smallest if choices.chance(1, 2) else choices.pick(alike)
    if fits(draft, graph, swaps):
        return None
    return tuple((taken.name, given.name) for taken, given in swaps.items())


def _too_short(draft: Draft, graph: DraftedGraph) -> list[tuple[str, str]]:
    """Swaps of one buffer for a shorter one, past whose end a ``Copy`` in the graph would reach."""
    ends = [
        (buffer, offset + step.command.size_bytes)
        for step in graph.steps
        if isinstance(step.command, Copy)
        for buffer, offset in zip(
            step.buffers, (step.command.source_offset, step.command.target_offset), strict=True
        )
    ]
    return [
        (buffer.name, other.name)
        for buffer, end in ends
        for other in draft.live
        if other.size_bytes < end and other.real is buffer.real
    ]


_MISTAKES: Weights[Callable[[Choices, Draft, Shape], Op | None]] = Weights(
    (_bad_read, 5),
    (_bad_write, 5),
    (_bad_copy, 5),
    (_bad_alloc, 3),
    (_double_free, 2),
    (bad_dispatch, 20),
    (orphaned_dispatch, 2),
    (_bad_capture, 12),
    (_bad_replay, 18),
)
_WITH_GRAPHS = (_bad_capture, _bad_replay)
"""Mistakes for targets that replay."""
