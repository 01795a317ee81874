"""Shapes of programs: their length, and the weights of their moves and kernels.

Half of the shapes are uniform: every move and kernel, at weights that suit most
bugs.  The other half are swarms: a random subset at random weights, since a bug
often needs some ops to be absent (Groce and others, "Swarm Testing", 2012).  The
moves themselves do not belong here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gpusim.limits import WORD_BYTES
from properties.generate.choices import Choices, Weights
from properties.generate.operands import Signature, draw_size

MoveName = Literal[
    "write",
    "dispatch",
    "read",
    "alloc",
    "copy",
    "free",
    "flush",
    "sync",
    "burst",
    "scatter",
    "recycle",
    "reads",
    "read_after_sync",
    "write_after_read",
    "chain",
    "capture",
    "replay",
    "odd_bytes",
    "apart",
    "brush",
    "indirect",
    "parts",
    "twin",
    "walk",
]
_UNIFORM: tuple[tuple[MoveName, int], ...] = (
    ("write", 20),
    ("dispatch", 26),
    ("read", 12),
    ("alloc", 3),
    ("copy", 14),
    ("free", 2),
    ("flush", 3),
    ("sync", 3),
    ("burst", 3),
    ("scatter", 1),
    ("recycle", 2),
    ("reads", 2),
    ("read_after_sync", 2),
    ("write_after_read", 2),
    ("chain", 4),
    ("capture", 1),
    ("replay", 5),
    ("odd_bytes", 4),
    ("apart", 6),
    ("brush", 3),
    ("indirect", 12),
    ("parts", 5),
    ("twin", 3),
    ("walk", 2),
)
_UNIFORM_MOVES = Weights(*_UNIFORM)
_LENGTHS = Weights(((24, 44), 6), ((12, 30), 1), ((36, 70), 2), ((60, 130), 1))
_SWARM_WEIGHTS = Weights((4, 3), (0, 4), (1, 2), (16, 2))
_PALETTES = Weights((0, 5), (1, 1), (2, 2), (3, 1))
_MOST_PALETTE_BYTES = 1024
_LIVE = Weights((3, 5), (1, 1), (2, 3), (4, 3), (5, 2), (6, 2), (12, 1))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The length of a program, and the weights of its parts."""

    min_ops: int = 12
    max_ops: int = 130
    """The number of ops is drawn from ``min_ops`` to ``max_ops``; the last move may add a few."""
    moves: Weights[MoveName]
    kernels: Weights[Signature]
    counting: tuple[Signature, ...] = ()
    """Kernels that write grids.  They are drawn for nothing else, since they hide earlier mistakes.
    """
    live_buffers: int = 4
    """About how many buffers are alive at a time: a further alloc usually frees one first."""
    palette: tuple[int, ...] = ()
    """The sizes in bytes of most buffers, since a neural network uses few sizes; if empty, any."""
    real_buffers: int = 8
    """One buffer in this many holds floats; with 0, no buffer does."""
    mistakes: int = 6
    """One move in this many is invalid on purpose."""
    row: int = 0
    """The program begins with so many dispatches in a row."""
    dump: bool = True
    """Whether the program ends with a read of every live buffer and a sync."""


def draw_shape(choices: Choices, signatures: tuple[Signature, ...]) -> Shape:
    """A uniform shape or a swarm, each half of the time."""
    counting = tuple(signature for signature in signatures if signature.counts)
    signatures = tuple(one for one in signatures if not one.counts) or signatures
    low, high = choices.weighted(_LENGTHS)
    swarm = choices.chance(1, 2)
    return Shape(
        min_ops=low,
        max_ops=high,
        moves=_swarm_moves(choices) if swarm else _UNIFORM_MOVES,
        kernels=_swarm_kernels(choices, signatures) if swarm else _even(signatures),
        counting=counting,
        live_buffers=choices.weighted(_LIVE),
        palette=tuple([_palette_size(choices) for _ in range(choices.weighted(_PALETTES))]),
        real_buffers=choices.pick((0, 8, 3)) if swarm else 8,
        mistakes=choices.pick((6, 40, 4)) if swarm else 6,
        dump=not choices.chance(1, 10),
    )


_LONG_LENGTHS = Weights(((300, 700), 8), ((700, 1500), 3), ((1500, 5000), 1))
_LONG: tuple[tuple[MoveName, int], ...] = (
    ("dispatch", 70),
    ("read", 20),
    ("write", 14),
    ("copy", 14),
    ("free", 4),
    ("alloc", 6),
    ("replay", 2),
    ("capture", 1),
    ("twin", 3),
)
_LONG_MOVES = Weights(*_LONG)
_LONG_MOVES_WITH_SYNCS = Weights(*_LONG, ("sync", 1))
_LONG_MOVES_WITH_BURSTS = Weights(*_LONG, ("burst", 12))
"""With bursts, batches get more dispatches than a byte can count (255)."""
_LONG_MOVES_WITH_WRITES = Weights(*_LONG, ("write", 60))
"""With so heavy a weight of writes, a program queues more writes than a queue is likely to
remember."""
_LONG_KINDS = (
    _LONG_MOVES,
    _LONG_MOVES_WITH_BURSTS,
    _LONG_MOVES_WITH_SYNCS,
    _LONG_MOVES_WITH_WRITES,
    _LONG_MOVES_WITH_BURSTS,
)
_LONG_SIZES = (64, 16, 260)
_LONG_LIVE = (2, 4, 8)
_ROWS = Weights((0, 11), (1100, 1))


def draw_long_shape(choices: Choices, signatures: tuple[Signature, ...]) -> Shape:
    """A shape of hundreds of cheap ops.

    Few of them submit, so that batches, uniform rings and queues of reads grow long.
    """
    low, high = choices.weighted(_LONG_LENGTHS)
    exact = tuple(one for one in signatures if not one.real and not one.counts) or signatures
    return Shape(
        min_ops=low,
        max_ops=high,
        moves=choices.pick(_LONG_KINDS),
        kernels=_swarm_kernels(choices, exact) if choices.chance(1, 2) else _even(exact),
        live_buffers=choices.pick(_LONG_LIVE),
        palette=_LONG_SIZES,
        real_buffers=0,
        mistakes=60,
        row=choices.weighted(_ROWS),
    )


def _palette_size(choices: Choices) -> int:
    # Most buffers of a program must not be empty.
    return max(draw_size(choices, _MOST_PALETTE_BYTES), WORD_BYTES)


def _swarm_moves(choices: Choices) -> Weights[MoveName]:
    drawn = [(name, weight * choices.weighted(_SWARM_WEIGHTS)) for name, weight in _UNIFORM]
    # Without writes all bytes are zero, and nothing shows.
    return Weights(("write", 8), *drawn)


def _swarm_kernels(choices: Choices, signatures: Sequence[Signature]) -> Weights[Signature]:
    drawn = [(signature, choices.weighted(_SWARM_WEIGHTS)) for signature in signatures]
    return Weights(*drawn, (choices.pick(signatures), 1))


@lru_cache(maxsize=16)
def _even(signatures: tuple[Signature, ...]) -> Weights[Signature]:
    return Weights(*((signature, 1) for signature in signatures))
