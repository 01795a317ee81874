"""Kernels made of WGSL alone: a shader's interface becomes a kernel's signature.

The runtime binds a kernel's buffers in group 0 from number 0 on, then its scalars, and calls
``main``.  So the text gets these numbers and this name.  If another function is called ``main``, it
is renamed.  Nothing else in the text is changed.  The compiled WGSL is the kernel's meaning, unless
a meaning is given.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gpusim.errors import ProgramError
from gpusim.wgsl import Entry, Module, ShaderError, compile_module
from gpusim.wgsl.syntax import Declaration, Function, Literal, Place
from gpusim.wgsl.tokens import Token, tokens_of
from gpusim.wgsl.types import has_atomic, leaves_of, scalars_in, size_of

_WORDS = ("u32", "i32", "f32")
_WORD_BYTES = 4
_MAIN = "main"


def compiled(text: str, entry_point: str | None) -> tuple[Module, Entry]:
    """The module of a text and its entry point; ProgramError if no entry point can be chosen."""
    try:
        module = compile_module(text)
    except ShaderError as error:
        raise ProgramError(f"cannot make a kernel of this WGSL because {error}") from error
    names = module.entry_points
    name = entry_point or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise ProgramError(
            f"cannot make a kernel of entry point {name!r} because the shader has the entry points "
            f"{', '.join(names) or '(none)'} (probably entry_point should name one of them)"
        )
    try:
        entry = module.entry(name)
        entry.compile()
    except ShaderError as error:
        raise ProgramError(f"cannot make a kernel of this WGSL because {error}") from error
    return module, entry


def buffers_of(entry: Entry) -> list[dict[str, Any]]:
    """The fields of a ``Binding`` for each storage buffer of an entry point."""
    found: list[dict[str, Any]] = []
    for binding in entry.point.bindings:
        if binding.space == "uniform":
            continue
        kinds = scalars_in(binding.type)
        least = -(-binding.least_bytes // _WORD_BYTES) * _WORD_BYTES
        found.append(
            {
                "name": binding.name,
                "dtype": kinds.pop() if len(kinds) == 1 and kinds < {*_WORDS} else "u32",
                "access": binding.access,
                "atomic": has_atomic(binding.type),
                "least_bytes": least,
            }
        )
    return found


def scalars_of(entry: Entry) -> list[tuple[str, str]]:
    """The names and types of the scalars that fill the uniform buffer, padding included.

    Raises:
        ProgramError: there are several uniform buffers, or one holds half floats.
    """
    uniforms = [each for each in entry.point.bindings if each.space == "uniform"]
    if len(uniforms) > 1:
        raise ProgramError(
            f"cannot take {uniforms[1].name} because a kernel has one uniform buffer "
            "(probably both can be one struct)"
        )
    if not uniforms:
        return []
    kind = uniforms[0].type
    words = ["u32"] * (size_of(kind) // _WORD_BYTES)
    for offset, leaf in leaves_of(kind):
        if leaf not in _WORDS:
            raise ProgramError(
                f"cannot take {uniforms[0].name} because it holds {leaf}, and a scalar is u32, "
                f"i32 or f32 (probably f32 can take the place of {leaf})"
            )
        words[offset // _WORD_BYTES] = leaf
    return [(f"word{number}", word) for number, word in enumerate(words)]


def renumbered(text: str, module: Module, entry: Entry) -> str:
    """The text, with the binding numbers and the entry point's name that the runtime expects."""
    storage = [each for each in entry.point.bindings if each.space != "uniform"]
    uniform = [each for each in entry.point.bindings if each.space == "uniform"]
    numbers = {each.name: number for number, each in enumerate([*storage, *uniform])}
    changes: dict[Place, str] = {}
    for node in module.unit.declarations:
        if isinstance(node, Declaration) and node.name in numbers:
            for attribute in node.attributes:
                if attribute.name in ("group", "binding"):
                    number = numbers[node.name] if attribute.name == "binding" else 0
                    changes[_literal(attribute.arguments[0], node.name).place] = f"{number}"
    tokens = tokens_of(text)
    starts = {token.place: token for token in tokens}
    pieces, at = [], 0
    edits = [(starts[place].start, starts[place].stop, word) for place, word in changes.items()]
    edits += _names(tokens, module, entry)
    for start, stop, word in sorted(edits):
        pieces += [text[at:start], word]
        at = stop
    return "".join([*pieces, text[at:]])


def _literal(argument: Any, name: str) -> Literal:
    if not isinstance(argument, Literal):
        raise ProgramError(
            f"cannot bind {name} because its group or binding is an expression (probably a number "
            "will do)"
        )
    return argument


def _names(tokens: Sequence[Token], module: Module, entry: Entry) -> list[tuple[int, int, str]]:
    """The edits that rename the entry point to ``main``, and another function of that name."""
    name, words = entry.point.name, {token.text for token in tokens}
    if name == _MAIN:
        return []
    declared = [node.name for node in module.unit.declarations if isinstance(node, Function)]
    if _MAIN in words and _MAIN not in declared:
        raise ProgramError(
            f"cannot rename {name} to 'main' because something else is called 'main' (probably "
            "it can have another name)"
        )
    other = f"{name}_other"
    while other in words:
        other += "_"
    # The old ``main`` may be called in many places; WGSL allows no call of an entry point.
    return [
        (token.start, token.stop, other if token.text == _MAIN else _MAIN)
        for before, token in pairwise(tokens)
        if token.text == _MAIN or (before.text == "fn" and token.text == name)
    ]


def meaning_of(entry: Entry, *, varied: bool = False) -> Any:
    """A function that runs the entry point in NumPy, given arrays, scalars and the grid.

    It is ``Kernel.meaning``; with ``varied``, it is ``Kernel.varied``.
    """
    point = entry.point

    def meaning(arrays: Sequence[Any], scalars: Sequence[Any], grid: tuple[int, int, int]) -> None:
        words = np.array([scalar.view(np.uint32) for scalar in scalars], np.uint32)
        remaining = iter(arrays)
        entry.bind(
            [
                words.view(np.uint8) if each.space == "uniform" else next(remaining).view(np.uint8)
                for each in point.bindings
            ],
            varied=varied,
        )(*grid)

    return meaning


def fields_of(
    text: str,
    entry_point: str | None,
    name: str | None,
    meaning: Any,
    tolerance: float | None,
) -> dict[str, Any]:
    """The fields of a kernel made of WGSL; its buffers and scalars are still plain values."""
    module, entry = compiled(text, entry_point)
    buffers, scalars = buffers_of(entry), scalars_of(entry)
    x, y, z = entry.point.workgroup_size
    floats = any(each["dtype"] == "f32" for each in buffers)
    fields = {
        "name": name or entry.point.name,
        "buffers": buffers,
        "scalars": scalars,
        "shader": renumbered(text, module, entry),
        "group_size": x * y * z,
        "meaning": meaning_of(entry),
        "varied": meaning_of(entry, varied=True),
        "takes_grid": True,
        "tolerance": 2.0**-20 if floats else None,
    }
    if meaning is not None:
        fields |= {"meaning": meaning, "varied": None, "takes_grid": False}
    if tolerance is not None:
        fields["tolerance"] = tolerance
    return fields
