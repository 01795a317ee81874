"""Draws whole programs from a source of choices.

A program is legal by construction, except that about one op in twenty is refused
on purpose.  ``moves``, ``mistakes`` and ``operands`` draw single ops; ``draft`` knows
which buffers are alive.
"""

from collections.abc import Mapping

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from properties.generate.choices import Choices
from properties.generate.draft import Draft
from properties.generate.floats import has_special_floats, with_special_floats
from properties.generate.meetings import GRAPH_MOVES, NEIGHBOUR_MOVES
from properties.generate.mistakes import mistake
from properties.generate.moves import MOVES, Move, dispatch, launch, make
from properties.generate.operands import drawable
from properties.generate.places import INDIRECT_MOVES, PART_MOVES, WALK_MOVES
from properties.generate.shape import MoveName, Shape, draw_long_shape, draw_shape

_OPENING_BUFFERS = 3
_CUT_READS = 5
"""At the end, one buffer in this many is read by two reads, of which the first is short."""
_MOST_CUT_BYTES = 7


def generate(
    choices: Choices,
    *,
    kernels: Kernels = BUILTIN,
    limits: Limits | None = None,
    shape: Shape | None = None,
    long: bool = False,
    invalid: bool = True,
    replays: bool = True,
    indirect: bool = True,
    parts: bool = True,
    special_floats: bool = False,
    failing: bool = False,
) -> Program:
    """One program over ``kernels`` under ``limits``.

    Without ``shape`` a shape is drawn, of hundreds of ops if ``long``.

    Each of these arguments allows something:

    - ``invalid``: ops that are refused; otherwise every op is legal under ``limits``.
    - ``replays``: captures and replays.
    - ``indirect``: dispatches over grids on the GPU.
    - ``parts``: bindings of parts of buffers.
    - ``special_floats``: floats that are NaN, infinite, -0 or subnormal.

    ``failing``: whether legal ops may fail.  Then a grid is read only from a buffer that holds
    grids all its life, so that no failed write leaves a grid which a GPU would run for hours.

    Raises:
        ProgramError: no kernel of ``kernels`` can be drawn.
    """
    signatures = drawable(kernels)
    if not signatures:
        raise ProgramError(
            "cannot generate a program because no kernel keeps floats apart from integers "
            "(probably the registry is empty, or each of its kernels writes integers from floats)"
        )
    shape = shape or (draw_long_shape if long else draw_shape)(choices, signatures)
    draft = Draft(
        limits or Limits(),
        indirect=indirect,
        parts=parts,
        failing=failing,
        palette=shape.palette,
    )
    moves = _allowed_moves(replays=replays, indirect=indirect, parts=parts)
    length = choices.integer(shape.min_ops, shape.max_ops)
    _open(choices, draft, shape)
    _line_up(choices, draft, shape)
    while len(draft.ops) < length - (len(draft.live) + 1 if shape.dump else 0):
        _step(choices, draft, shape, invalid, moves)
    if shape.dump:
        _dump(choices, draft)
    program = Program(tuple(draft.ops))
    if not has_special_floats(special_floats, kernels):
        return program
    return with_special_floats(choices, program, kernels)


def _allowed_moves(*, replays: bool, indirect: bool, parts: bool) -> dict[MoveName, Move]:
    moves = {**MOVES, **NEIGHBOUR_MOVES, **(GRAPH_MOVES if replays else {})}
    moves |= {**(INDIRECT_MOVES if indirect else {}), **(PART_MOVES if parts else {})}
    return {**moves, **(WALK_MOVES if replays and parts else {})}


def _open(choices: Choices, draft: Draft, shape: Shape) -> None:
    for _ in range(choices.integer(1, min(_OPENING_BUFFERS, shape.live_buffers))):
        buffer = make(choices, draft, False)
        # If a buffer were zero anyway, an op that wrongly clears it would not show.
        if choices.chance(2, 3):
            draft.write(buffer, 0, buffer.size_bytes)


def _line_up(choices: Choices, draft: Draft, shape: Shape) -> None:
    """Dispatches in a row, mostly of one kernel over the same buffers, for a long compute pass."""
    for _ in range(shape.row):
        if draft.dispatched and choices.chance(15, 16):
            launch(choices, draft, *draft.dispatched[-1], like_before=True)
        else:
            dispatch(choices, draft, shape)


def _step(
    choices: Choices, draft: Draft, shape: Shape, invalid: bool, moves: Mapping[MoveName, Move]
) -> None:
    before = len(draft.ops)
    if invalid and choices.chance(1, shape.mistakes):
        mistake(choices, draft, shape, replays="replay" in moves)
    else:
        moves.get(choices.weighted(shape.moves), dispatch)(choices, draft, shape)
    if len(draft.ops) == before:
        # The program must grow even if the move cannot be made.
        draft.flush()


def _dump(choices: Choices, draft: Draft) -> None:
    """Read every live buffer, at times by two reads.

    The second of the two may begin inside a word, as few other long reads do.
    """
    for buffer in draft.live:
        cut = choices.integer(1, _MOST_CUT_BYTES) if choices.chance(1, _CUT_READS) else 0
        if 0 < cut < buffer.size_bytes and not buffer.real:
            draft.read(buffer, 0, cut)
            draft.read(buffer, cut, buffer.size_bytes - cut)
        else:
            draft.read(buffer, 0, buffer.size_bytes)
    draft.sync()
