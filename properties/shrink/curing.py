"""Programs changed so that they do not show the bugs that are known, but may show others.

A frequent bug hides the rarer ones: nearly every program fails, and each shrinks to the same.  A
bug of two ops that must stand in one batch is cured by a sync between them, and a bug of a form of
ops by leaving that form out.  A bug that is told by the kinds of its ops only has no cure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import Alloc, Copy, Dispatch, DispatchIndirect, Free, Op, Read, Replay, Sync, Write
from gpusim.program import Program
from properties.generate.fitting import fitted
from properties.model.capabilities import REFUSALS, Capabilities, Refusal
from properties.model.case import Case

_LAST_OPS: dict[str, tuple[Any, ...]] = {
    "write": (Write,),
    "free": (Alloc, Free),
    "command": (Dispatch, DispatchIndirect, Copy, Replay),
    "read": (Read,),
}
"""The ops before which a sync stands, by the kind of the last op of a pair."""
_ODD: dict[str, tuple[str, ...]] = {
    "odd alloc": ("buffer_size_bytes",),
    "odd write": ("write_offset_bytes", "write_size_bytes"),
    "odd read": ("read_offset_bytes", "read_size_bytes"),
    "odd copy": ("copy_offset_bytes", "copy_size_bytes"),
}


def cured(case: Case, bugs: Iterable[str], kernels: Kernels, limits: Limits) -> Case:
    """``case`` without what each of ``bugs`` takes, in the words of a signature."""
    words = tuple(bugs)
    promises = case.promises or Capabilities()
    fewer = _without_forms(promises, words)
    program = case.program
    if fewer != promises:
        program = fitted(program, fewer, kernels, case.limits(limits))
    return replace(case, program=Program(tuple(_apart(program, words))))


def _without_forms(promises: Capabilities, words: tuple[str, ...]) -> Capabilities:
    changes: dict[str, Any] = {}
    for word in words:
        for name in _ODD.get(word, ()):
            unit = getattr(promises, name)
            changes[name] = unit if unit % WORD_BYTES == 0 else unit * WORD_BYTES
        if word == "copy within":
            changes.update(copies_within=False, overlapping_copies=False)
        kind, _, error = word.partition(" ")
        if kind == "refuses" and error in REFUSALS:
            changes[REFUSALS[error]] = Refusal.NOT_ASKED
    return replace(promises, **changes)


def _apart(program: Program, words: tuple[str, ...]) -> Iterator[Op]:
    pairs = [tuple(word.split(" to ")) for word in words if " to " in word]
    before = tuple(kind for pair in pairs for kind in _LAST_OPS.get(pair[-1], ()))
    after = (Alloc,) if ("alloc", "any") in pairs else ()
    for op in program:
        if isinstance(op, before):
            yield Sync()
        yield op
        if isinstance(op, after):
            yield Sync()
