"""Transformations as text, one a line, as they are listed with a program.

    insert_boundary boundary=flush at=3
    swap at=5

Reading what was written gives the same transformation.
"""

from dataclasses import fields
from typing import Any

from gpusim.errors import ProgramError
from properties.model.case import Transformation
from properties.oracles.metamorphic.registry import KINDS


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
        kind: Any = KINDS[name]
        types = {field.name: field.type for field in fields(kind)}
        return kind(**{key: _typed(types[key], value) for key, value in values.items()})  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError) as error:
        raise ProgramError(
            f"cannot read transformation {text!r} because {error!r} is no name, field or value "
            "of one (probably a misspelling)"
        ) from error


def _typed(kind: object, value: object) -> object:
    return int(str(value)) if kind in (int, "int") else value
