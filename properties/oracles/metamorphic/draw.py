"""Drawing a few transformations for a case, from the source of choices that drew the program.

Each is drawn for what the ones before it made of the case.  How often each kind
is drawn is data; what it does is not known here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from gpusim.kernels import BUILTIN, Kernel
from gpusim.program import Alloc, Copy, Flush, Op, Program, Read, Replay, Sync, Write
from gpusim.runtime.policy import PRESETS
from properties.case import Case
from properties.oracles.metamorphic.boundaries import (
    Boundary,
    DeleteBoundary,
    DeleteEverywhere,
    InsertBoundary,
    InsertEverywhere,
)
from properties.oracles.metamorphic.configuration import (
    SetDevice,
    SetField,
    SetPreset,
    SetSchedule,
)
from properties.oracles.metamorphic.folding import FoldPrefix
from properties.oracles.metamorphic.image import Transformation
from properties.oracles.metamorphic.insertions import (
    GarbageFirst,
    InsertDeadWork,
    InsertRead,
    InsertRefused,
    Part,
    Recycle,
    Refusal,
)
from properties.oracles.metamorphic.order import Interleave, Swap, Twice
from properties.oracles.metamorphic.pieces import Merge, Split
from properties.oracles.metamorphic.replacements import CopyForWrite, Embed, Rename
from properties.oracles.metamorphic.unrolling import Unroll
from properties.programs.choices import Choices, Weights
from properties.session.devices import SCHEDULERS, is_simulated

Draw = Callable[[Choices, Case], Transformation]

_MOST_WHICH = 63
_MOST_SEED = 2**31 - 1
_VALUES: Mapping[str, Sequence[object]] = {
    "batch_commands": (None, 0, 1, 2, 3),
    "batch_bytes": (None, 0, 16, 256),
    "first_batch": (None, 1, 2, 5),
    "merge_passes": (True, False),
    "flush_on_conflict": (True, False),
    "staged_write_bytes": (4096, 0, 4, 16),
    "upload_bytes": (1 << 16, 8, 64),
    "defer_frees": (True, False),
    "join_reads": (True, False),
    "uniforms": ("fresh", "pooled", "cached", "ring"),
    "uniform_ring_bytes": (1 << 18, 256, 512),
    "plan_cache": (4096, 0, 1, 2),
    "graph_cache": (64, 0, 1),
    "uniform_slots": (1024, 1, 2, 3),
    "uniform_cache": (512, 1, 2, 3),
    "cache_bind_groups": (True, False),
    "bind_group_cache": (256, 1, 2, 3),
    "shape_cache": (256, 1, 2, 3),
    "staging_buffers": (4, 0, 1, 2),
    "staging_page_bytes": (4096, 16, 256),
    "staging_class_bytes": (1 << 20, 0, 256),
    "debug_submit_each": (False, True),
}
_PARTS: Sequence[Part] = ("whole", "head", "tail")
_REFUSALS: Sequence[Refusal] = (
    "past_the_end",
    "before_the_start",
    "twice_freed",
    "freed_source",
    "aliased",
    "bad_scalar",
)
_TRIES = 6
"""Kinds asked for before a case is given up as one that hardly any applies to."""


def draw_transformations(
    choices: Choices,
    case: Case,
    *,
    devices: Sequence[str] = (),
    refuses: bool = True,
    most: int = 3,
    kinds: Collection[str] = (),
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> tuple[Transformation, ...]:
    """One to ``most`` transformations that apply to ``case``, one after the other.

    ``devices`` are others that it may run on; ``refuses`` is whether the target
    refuses what is invalid; ``kinds`` are the names of those to draw from, all
    where left out.  None where nothing that was drawn applies.
    """
    drawn: list[Transformation] = []
    wanted = choices.integer(1, most)
    weights = _weights(case, devices, refuses, kinds)
    for _ in range(wanted * _TRIES):
        if len(drawn) == wanted:
            break
        transformation = choices.weighted(weights)(choices, case)
        image = transformation.apply(case, kernels)
        if image is not None:
            drawn.append(transformation)
            case = image.case
    return tuple(drawn)


def _weights(
    case: Case, devices: Sequence[str], refuses: bool, kinds: Collection[str]
) -> Weights[Draw]:
    others = [device for device in devices if device != case.device]
    table: list[tuple[str, Draw, int]] = [
        *_DRAWS,
        ("set_schedule", _set_schedule, 3 * is_simulated(case.device)),
        ("set_device", lambda choices, case: SetDevice(device=choices.pick(others)), bool(others)),
        ("insert_refused", _insert_refused, 2 * refuses),
    ]
    return Weights(*((draw, weight) for name, draw, weight in table if not kinds or name in kinds))


def _gap(choices: Choices, program: Program) -> int:
    return choices.integer(0, len(program))


def _op(choices: Choices, program: Program, *kinds: type[Op]) -> int:
    """The position of an op of these kinds; one that is none of them where there is none."""
    positions = [position for position, op in enumerate(program) if isinstance(op, kinds)]
    return choices.pick(positions) if positions else len(program)


def _boundary(choices: Choices) -> Boundary:
    return "sync" if choices.chance(1, 3) else "flush"


def _which(choices: Choices) -> int:
    return choices.integer(0, _MOST_WHICH)


def _insert_boundary(choices: Choices, case: Case) -> Transformation:
    return InsertBoundary(boundary=_boundary(choices), at=_gap(choices, case.program))


def _insert_everywhere(choices: Choices, case: Case) -> Transformation:
    return InsertEverywhere(boundary=_boundary(choices))


def _delete_boundary(choices: Choices, case: Case) -> Transformation:
    return DeleteBoundary(at=_op(choices, case.program, Flush, Sync))


def _delete_everywhere(choices: Choices, case: Case) -> Transformation:
    return DeleteEverywhere()


def _set_field(choices: Choices, case: Case) -> Transformation:
    field = choices.pick(list(_VALUES))
    return SetField(field=field, value=str(choices.pick(_VALUES[field])))


def _set_preset(choices: Choices, case: Case) -> Transformation:
    return SetPreset(preset=choices.pick(list(PRESETS)))


def _set_schedule(choices: Choices, case: Case) -> Transformation:
    return SetSchedule(scheduler=choices.pick(SCHEDULERS), seed=choices.integer(0, _MOST_SEED))


def _swap(choices: Choices, case: Case) -> Transformation:
    return Swap(at=_gap(choices, case.program))


def _interleave(choices: Choices, case: Case) -> Transformation:
    return Interleave(seed=choices.integer(0, _MOST_SEED))


def _twice(choices: Choices, case: Case) -> Transformation:
    return Twice()


def _split(choices: Choices, case: Case) -> Transformation:
    at = _op(choices, case.program, Write, Copy, Read)
    return Split(at=at, sixteenths=choices.pick((8, 0, 1, 4, 5, 11, 15)))


def _merge(choices: Choices, case: Case) -> Transformation:
    program = case.program
    twins = [
        position
        for position, (op, other) in enumerate(zip(program, program.ops[1:], strict=False))
        if isinstance(op, Write | Copy) and type(op) is type(other)
    ]
    return Merge(at=choices.pick(twins) if twins else len(program))


def _insert_read(choices: Choices, case: Case) -> Transformation:
    at = _gap(choices, case.program)
    return InsertRead(at=at, which=_which(choices), part=choices.pick(_PARTS))


def _insert_dead_work(choices: Choices, case: Case) -> Transformation:
    return InsertDeadWork(at=_gap(choices, case.program), which=_which(choices))


def _insert_refused(choices: Choices, case: Case) -> Transformation:
    at = _gap(choices, case.program)
    return InsertRefused(at=at, which=_which(choices), refusal=choices.pick(_REFUSALS))


def _recycle(choices: Choices, case: Case) -> Transformation:
    return Recycle(at=_op(choices, case.program, Alloc))


def _garbage_first(choices: Choices, case: Case) -> Transformation:
    return GarbageFirst(at=_op(choices, case.program, Write))


def _copy_for_write(choices: Choices, case: Case) -> Transformation:
    return CopyForWrite(at=_op(choices, case.program, Write))


def _rename(choices: Choices, case: Case) -> Transformation:
    return Rename()


def _embed(choices: Choices, case: Case) -> Transformation:
    return Embed(which=_which(choices), pad_bytes=choices.pick((4, 256, 1, 3, 64)))


def _fold_prefix(choices: Choices, case: Case) -> Transformation:
    return FoldPrefix(at=_gap(choices, case.program))


def _unroll(choices: Choices, case: Case) -> Transformation:
    return Unroll(at=_op(choices, case.program, Replay))


_DRAWS: Sequence[tuple[str, Draw, int]] = (
    ("insert_boundary", _insert_boundary, 6),
    ("delete_everywhere", _delete_everywhere, 2),
    ("delete_boundary", _delete_boundary, 2),
    ("insert_everywhere", _insert_everywhere, 2),
    ("set_field", _set_field, 6),
    ("set_preset", _set_preset, 3),
    ("swap", _swap, 3),
    ("interleave", _interleave, 2),
    ("twice", _twice, 2),
    ("split", _split, 3),
    ("merge", _merge, 1),
    ("insert_read", _insert_read, 4),
    ("insert_dead_work", _insert_dead_work, 2),
    ("recycle", _recycle, 3),
    ("garbage_first", _garbage_first, 2),
    ("copy_for_write", _copy_for_write, 2),
    ("rename", _rename, 1),
    ("embed", _embed, 3),
    ("fold_prefix", _fold_prefix, 2),
    ("unroll", _unroll, 3),
)
"""Each kind's name and how often it is drawn; those that ask for more are added in _weights."""
