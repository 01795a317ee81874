"""Faults: a plan of what goes wrong on a device, and when, as data.

A plan names each call that fails by its verb and by its number among the calls of that verb.  So
one more call of a verb does not move the faults of other verbs.  A plan does nothing by itself; the
default plan is empty.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter

from gpusim.errors import ProgramError

MOST_FAULTS = 16
"""The most faults of a plan; more would be a broken machine."""
MOST_IN_A_ROW = 4
"""The most failures of one kind in a row; after more, no retry could succeed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultPlan:
    """Which calls fail; every number counts from 0.

    ``ProgramError`` if a plan is not well formed, or no runtime could survive it: more than
    MOST_FAULTS faults, or more than MOST_IN_A_ROW of one kind in a row.
    """

    failed_maps: tuple[int, ...] = ()
    """Calls of ``map_async`` whose promise is rejected."""
    refused_maps: tuple[int, ...] = ()
    """Calls of ``map_async`` that raise GPUInternalError, as wgpu-py may."""
    out_of_memory: tuple[int, ...] = ()
    """Calls of ``create_buffer`` that raise GPUOutOfMemoryError."""
    internal_errors: tuple[int, ...] = ()
    """Calls of ``create_compute_pipeline`` that raise GPUInternalError."""
    failed_submits: tuple[int, ...] = ()
    """Calls of ``submit`` that raise GPUInternalError and execute nothing."""
    failed_writes: tuple[int, ...] = ()
    """Calls of ``queue.write_buffer`` that raise GPUInternalError and write nothing."""
    failed_bind_groups: tuple[int, ...] = ()
    """Calls of ``create_bind_group`` that raise GPUOutOfMemoryError."""
    failed_encodes: tuple[int, ...] = ()
    """Calls of ``finish`` that raise GPUInternalError; only encoders with commands are counted."""
    lost_at_submit: int | None = None
    """The submit at which the device is lost.  Each field below names a call of another verb at
    which it is lost."""
    lost_at_write: int | None = None
    lost_at_map: int | None = None
    lost_at_unmap: int | None = None
    lost_at_buffer: int | None = None
    lost_at_destroy: int | None = None
    lost_at_bind_group: int | None = None
    lost_at_pipeline: int | None = None
    lost_at_encode: int | None = None

    def __post_init__(self) -> None:
        for name in _MANY:
            _check_indices(name, getattr(self, name))
        for name in _ONE:
            at = getattr(self, name)
            if at is not None and at < 0:
                raise _malformed(f"{name}={at} is negative")
        if len(self) > MOST_FAULTS:
            raise _malformed(f"it holds {len(self)} faults and {MOST_FAULTS} is the most")

    @property
    def losses(self) -> Mapping[str, int]:
        """The calls at which the device is lost, by verb."""
        planned = {verb: getattr(self, name) for name, verb in _LOST_AT.items()}
        return {verb: number for verb, number in planned.items() if number is not None}

    def __len__(self) -> int:
        """How many faults the plan holds."""
        single = _single(self)
        return sum(map(len, _many(self))) + len(single) - single.count(None)

    def __str__(self) -> str:
        """One line that ``parse_faults`` reads back; ``none`` for the empty plan."""
        words = [f"{name}={_join(getattr(self, name))}" for name in _MANY if getattr(self, name)]
        single = [(name, getattr(self, name)) for name in _ONE]
        words += [f"{name}={at}" for name, at in single if at is not None]
        return " ".join(words) or "none"


_NUMBERS = re.compile(r"[0-9]{1,18}(?:,[0-9]{1,18})*")
_LOST_AT = {
    "lost_at_submit": "submit",
    "lost_at_write": "write",
    "lost_at_map": "map",
    "lost_at_unmap": "unmap",
    "lost_at_buffer": "buffer",
    "lost_at_destroy": "destroy",
    "lost_at_bind_group": "bind group",
    "lost_at_pipeline": "pipeline",
    "lost_at_encode": "finish",
}
_ONE = tuple(_LOST_AT)
_MANY = tuple(field.name for field in fields(FaultPlan) if field.name not in _ONE)
_many, _single = attrgetter(*_MANY), attrgetter(*_ONE)


def parse_faults(text: str) -> FaultPlan:
    """Read what ``str(plan)`` wrote; ProgramError if a word is unknown."""
    values: dict[str, object] = {}
    for word in text.split():
        if word == "none":
            continue
        name, _, numbers = word.partition("=")
        if name not in (*_MANY, *_ONE) or name in values:
            raise _malformed(f"{word!r} names no fault, or one that was named before")
        if not _NUMBERS.fullmatch(numbers) or (name in _ONE and "," in numbers):
            wanted = "one number" if name in _ONE else "numbers with commas between them"
            raise _malformed(f"{word!r} does not hold {wanted}, each from 0 on")
        indices = tuple(map(int, numbers.split(",")))
        values[name] = indices if name in _MANY else indices[0]
    return FaultPlan(**values)  # type: ignore[arg-type]


def _check_indices(name: str, indices: tuple[int, ...]) -> None:
    if any(later <= earlier for earlier, later in zip((-1, *indices), indices, strict=False)):
        raise _malformed(f"{name}={indices} is not an ascending list of counts from 0")
    for start in range(len(indices) - MOST_IN_A_ROW):
        if indices[start + MOST_IN_A_ROW] - indices[start] == MOST_IN_A_ROW:
            raise _malformed(f"{name}={indices} has more than {MOST_IN_A_ROW} failures in a row")


def _join(indices: tuple[int, ...]) -> str:
    return ",".join(map(str, indices))


def _malformed(because: str) -> ProgramError:
    return ProgramError(
        f"cannot plan these faults because {because} (probably a plan that no runtime survives)"
    )


NO_FAULTS = FaultPlan()
"""Nothing ever goes wrong."""
