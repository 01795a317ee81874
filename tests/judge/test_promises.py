"""Targets are judged by what they promise: sound ones pass, and a twin with a mistake is found."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gpusim.errors import GpusimError
from gpusim.ops import Alloc, Copy, Dispatch, Free, Op, Read, Replay, Sync, Write
from properties.model.capabilities import CONTRACT, Capabilities, Refusal, capabilities_of
from properties.model.target import Arrived, Delivery
from tests.judge.promising import Pair, Perform, Small, Twin, changing, failures

pytestmark = pytest.mark.unit

SOUND_PROGRAMS = 60
TWIN_PROGRAMS = 300


def after_a_refusal(harm: Callable[[Small, Any], None]) -> Twin:
    """A twin that does ``harm`` where an op is refused."""

    def twin(target: Small) -> Perform:
        refuse = target._refuse

        def refusing(op: Op, error: GpusimError) -> Delivery | None:
            harm(target, op)
            return refuse(op, error)

        target._refuse = refusing  # type: ignore[method-assign]
        return target.perform

    return twin


def _pads(target: Small, op: Any) -> Any:
    """A write of odd length is padded over its neighbour."""
    if not isinstance(op, Write) or len(op.data) % 4 == 0:
        return op
    room = target._inner._blocks[op.buffer].size_bytes - op.offset if _live(target, op) else 0
    padded = op.data + b"\0" * (-len(op.data) % 4)
    return replace(op, data=padded) if op.offset >= 0 and len(padded) <= room else op


def _live(target: Small, op: Any) -> bool:
    return op.buffer in target._inner._blocks


def _rounds(kind: type[Op], **units: int) -> Twin:
    """A twin that rounds fields of one kind of op down."""

    def change(target: Small, op: Any) -> Any:
        if type(op) is not kind:
            return op
        numbers = {name: getattr(op, name) // unit * unit for name, unit in units.items()}
        return replace(op, **numbers)

    return changing(change)


def _short(target: Small, op: Any) -> Any:
    """The last unit of a write is left out."""
    unit = target.capabilities.write_size_bytes
    if not isinstance(op, Write) or len(op.data) <= unit:
        return op
    return replace(op, data=op.data[:-unit])


def _clears(target: Small, op: Any) -> None:
    """A refusal clears every buffer: the batch around it is lost."""
    for block in target._inner._blocks.values():
        block.data[:] = 0


def _drops_copies_within(target: Small, op: Any) -> Any:
    return None if isinstance(op, Copy) and op.source == op.target else op


def _copies_forwards(target: Small, op: Any) -> Any:
    """An overlapping copy moves byte by byte, over what it still has to read."""
    is_within = isinstance(op, Copy) and op.source == op.target
    if not is_within or not _valid(target, op):
        return op
    data = target._inner._blocks[op.source].data
    for at in range(op.size_bytes):
        data[op.target_offset + at] = data[op.source_offset + at]
    return None


def _valid(target: Small, op: Any) -> bool:
    block = target._inner._blocks.get(op.source)
    places = op.source_offset, op.target_offset
    return (
        block is not None
        and op.size_bytes >= 0
        and all(0 <= place <= block.size_bytes - op.size_bytes for place in places)
    )


def _skips(kernel: str) -> Twin:
    return changing(lambda target, op: None if getattr(op, "kernel", "") == kernel else op)


def _first_dimension(target: Small, op: Any) -> Any:
    if not isinstance(op, Dispatch) or min(op.grid) < 0:
        return op
    x, y, z = op.grid
    return replace(op, grid=(x, min(y, 1), min(z, 1)))


def _never_tells(target: Small) -> Perform:
    sound = target.perform

    def perform(op: Op) -> Delivery | None:
        target._owes = False
        return sound(op)

    return perform


def _accepts(*errors: str) -> Twin:
    """A twin that accepts what it promises to refuse."""

    def twin(target: Small) -> Perform:
        refuse = target._refuse

        def refusing(op: Op, error: GpusimError) -> Delivery | None:
            if type(error).__name__ in errors:
                return Arrived(b"") if isinstance(op, Read) else None
            return refuse(op, error)

        target._refuse = refusing  # type: ignore[method-assign]
        return target.perform

    return twin


def _reused_name(target: Small, op: Any) -> None:
    """A write to a freed buffer lands in the one that was made last."""
    blocks = target._inner._blocks
    if isinstance(op, Write) and blocks and op.buffer not in blocks:
        block = [*blocks.values()][-1]
        size_bytes = min(len(op.data), block.size_bytes)
        block.data[:size_bytes] = list(op.data[:size_bytes])


def _clears_late(target: Small) -> Perform:
    """A new buffer is cleared only once something else was written."""
    sound, new = target.perform, list[str]()

    def perform(op: Op) -> Delivery | None:
        delivery = sound(op)
        if isinstance(op, Alloc):
            new.append(op.buffer)
        elif isinstance(op, Free):
            new[:] = [name for name in new if name != op.buffer]
        elif isinstance(op, Sync):
            for name in new:
                target._inner._blocks[name].data[:] = 0
            new.clear()
        return delivery

    return perform


def _keeps_scalars(target: Small, op: Any) -> Any:
    """A replay forgets the scalars that it is given."""
    return replace(op, scalars=None) if isinstance(op, Replay) else op


_ANY = capabilities_of(refuses=False)
_WEBGPU = Capabilities()
_CONTAINED = dict.fromkeys(
    ("invalid_handle", "out_of_range", "invalid_binding", "invalid_scalar", "limit_exceeded"),
    Refusal.CONTAINED,
)
_LATE: dict[str, Any] = dict.fromkeys(_CONTAINED, Refusal.NEXT_SYNC)


def _beside(base: Capabilities, **promises: Any) -> Capabilities:
    return replace(base, **promises)


PAIRS: Sequence[Pair] = (
    Pair(name="webgpu", capabilities=_WEBGPU, twin=changing(_short)),
    Pair(name="any bytes", capabilities=_ANY, twin=changing(_pads)),
    Pair(
        name="writes of any bytes",
        capabilities=_beside(_WEBGPU, write_offset_bytes=1, write_size_bytes=1),
        twin=changing(_pads),
    ),
    Pair(
        name="writes at any offset",
        capabilities=_beside(_WEBGPU, write_offset_bytes=1),
        twin=_rounds(Write, offset=4),
    ),
    Pair(
        name="writes of half words",
        capabilities=_beside(_WEBGPU, write_offset_bytes=2, write_size_bytes=2),
        twin=changing(_pads),
    ),
    Pair(
        name="reads at any offset",
        capabilities=_beside(_WEBGPU, read_offset_bytes=1, read_size_bytes=1),
        twin=_rounds(Read, offset=4),
    ),
    Pair(
        name="copies of any bytes",
        capabilities=_beside(_WEBGPU, copy_offset_bytes=1, copy_size_bytes=1),
        twin=_rounds(Copy, source_offset=4),
    ),
    Pair(
        name="buffers of 16 bytes",
        capabilities=_beside(_WEBGPU, buffer_size_bytes=16, write_size_bytes=16),
        twin=changing(_short),
    ),
    Pair(
        name="copies within",
        capabilities=_beside(_WEBGPU, copies_within=True),
        twin=changing(_drops_copies_within),
    ),
    Pair(
        name="overlapping copies",
        capabilities=_beside(_WEBGPU, copies_within=True, overlapping_copies=True),
        twin=changing(_copies_forwards),
    ),
    Pair(
        name="empty ops",
        capabilities=_beside(_WEBGPU, empty_ops=True),
        twin=_rounds(Copy, target_offset=8),
    ),
    Pair(
        name="two kernels",
        capabilities=_beside(_WEBGPU, kernels=("affine", "fold")),
        twin=_skips("fold"),
    ),
    Pair(
        name="one dimension",
        capabilities=_beside(_WEBGPU, grid_dimensions=1, kernels=("affine",)),
        twin=_skips("affine"),
    ),
    Pair(
        name="three dimensions",
        capabilities=_beside(_WEBGPU, spreads_grids=True),
        twin=changing(_first_dimension),
    ),
    Pair(
        name="contained, raising",
        capabilities=_beside(_WEBGPU, **_CONTAINED),
        twin=after_a_refusal(_clears),
    ),
    Pair(
        name="contained, silent",
        capabilities=_beside(_ANY, **_CONTAINED),
        twin=after_a_refusal(_reused_name),
        raises=False,
    ),
    Pair(
        name="told by the next sync",
        capabilities=_beside(_ANY, **_LATE),
        twin=_never_tells,
        raises=False,
    ),
    Pair(
        name="exact about handles",
        capabilities=_beside(_ANY, invalid_handle=Refusal.EXACT),
        twin=_accepts("InvalidHandle"),
    ),
    Pair(
        name="the contract",
        capabilities=_beside(CONTRACT, orders_deliveries=False),
        twin=_clears_late,
    ),
    Pair(
        name="graphs", capabilities=_beside(CONTRACT, replays=True), twin=changing(_keeps_scalars)
    ),
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_sound_target_is_not_accused(pair: Pair) -> None:
    assert failures(pair, pair.sound, SOUND_PROGRAMS) == []


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_its_twin_is_found(pair: Pair) -> None:
    assert failures(pair, pair.broken, TWIN_PROGRAMS) != []


def test_no_two_pairs_promise_the_same() -> None:
    assert len({pair.capabilities for pair in PAIRS}) == len(PAIRS) == 20
