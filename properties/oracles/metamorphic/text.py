"""Transformations as text, one a line, as they are listed with a program.

    insert_boundary boundary=flush at=3
    swap at=5

Reading what was written gives the same transformation.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpusim.errors import ProgramError
from properties.oracles.metamorphic.boundaries import (
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
from properties.oracles.metamorphic.faults import WithoutFaults
from properties.oracles.metamorphic.folding import FoldPrefix
from properties.oracles.metamorphic.image import Transformation
from properties.oracles.metamorphic.insertions import (
    GarbageFirst,
    InsertDeadWork,
    InsertRead,
    InsertRefused,
    Recycle,
)
from properties.oracles.metamorphic.order import Interleave, Swap, Twice
from properties.oracles.metamorphic.pieces import Merge, Split
from properties.oracles.metamorphic.replacements import CopyForWrite, Embed, Rename, Same
from properties.oracles.metamorphic.unrolling import Unroll

_KINDS: tuple[Any, ...] = (
    InsertBoundary,
    InsertEverywhere,
    DeleteBoundary,
    DeleteEverywhere,
    SetField,
    SetPreset,
    SetSchedule,
    SetDevice,
    Swap,
    Interleave,
    Twice,
    Split,
    Merge,
    InsertRead,
    InsertDeadWork,
    InsertRefused,
    Recycle,
    GarbageFirst,
    CopyForWrite,
    Rename,
    Embed,
    FoldPrefix,
    Unroll,
    WithoutFaults,
    Same,
)
KINDS: Mapping[str, Any] = {kind.name: kind for kind in _KINDS}
"""Every kind of transformation by its name."""


def write_transformation(transformation: Transformation) -> str:
    """One line without its newline."""
    entries: Any = transformation
    values = [f"{field.name}={getattr(entries, field.name)}" for field in fields(entries)]
    return " ".join([transformation.name, *values])


def parse_transformation(text: str) -> Transformation:
    """Read what ``write_transformation`` wrote; ProgramError where it did not."""
    name, *words = text.split(" ") if "=" in text else [text]
    values: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        values[key] = value
    try:
        kind = KINDS[name]
        types = {field.name: field.type for field in fields(kind)}
        return kind(**{key: _typed(types[key], value) for key, value in values.items()})  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError) as error:
        raise ProgramError(
            f"cannot read transformation {text!r} because {error!r} is no name, field or value "
            "of one (probably a misspelling)"
        ) from error


def _typed(kind: object, value: object) -> object:
    return int(str(value)) if kind in (int, "int") else value
