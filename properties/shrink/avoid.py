"""Decides which ops, clients or faults later programs leave out because a found bug needs them.

A runtime with many bugs may show one of them in nearly every program.  A session that shrinks this
bug over and over finds no other.  So once a bug of a foreign target was shrunk, most programs leave
out what the bug needs: a form of ops such as copies within a buffer, a sort of refused ops, a
client, or faults.  One program in ``AGAIN_EVERY`` leaves out nothing.  Many different bugs need
a client or faults, so these come back in one program of ``CONDITION_AGAIN_EVERY``.  If a bug needs
a client and faults, only the two together are left out.  What nearly every program has is never
left out.  The bugs alone decide what is left out, never the target's name.

A program can also be cured of the bugs found so far, so that it may show others: a sync is put
between two ops that a bug needs in one batch, and forms of ops that a bug needs are left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.ops import (
    HOST_WRITES,
    Alloc,
    Copy,
    Dispatch,
    DispatchIndirect,
    Free,
    Op,
    Read,
    Replay,
    Sync,
)
from gpusim.program import Program
from properties.clients import FOREIGN_CLIENTS
from properties.generate.choices import SeededChoices
from properties.generate.fitting import fitted
from properties.model.capabilities import REFUSALS, Capabilities, Refusal
from properties.model.case import PLAIN, Case
from properties.model.disturbance import SURVIVED
from properties.model.refusals import RAISED, is_of, parted, refusals
from reference import run as run_reference

Avoided = frozenset[str]
"""What programs leave out: words of bugs' signatures (see ``properties.fuzz.signatures``), sorts of
refused ops (see ``properties.model.refusals``), and ``CLIENT with FAULT``."""
AGAIN_EVERY, CONDITION_AGAIN_EVERY = 128, 4
_WITH, _REFUSES = " with ", "refuses "
_CONDITIONS: tuple[Mapping[str, Any], ...] = FOREIGN_CLIENTS, SURVIVED
"""The clients and the kinds of fault, which a bug may need beside a form of ops."""
_ODD: Mapping[str, tuple[str, ...]] = {
    "odd alloc": ("buffer_size_bytes",),
    "odd write": ("write_offset_bytes", "write_size_bytes"),
    "odd read": ("read_offset_bytes", "read_size_bytes"),
    "odd copy": ("copy_offset_bytes", "copy_size_bytes"),
}
_PROMISES: Mapping[str, Mapping[str, Any]] = {
    **{form: {} for form in _ODD},
    "copy within": {"copies_within": False, "overlapping_copies": False},
    **{kind: {promise: False} for kind, promise in SURVIVED.items()},
    **{f"{_REFUSES}{name}": {promise: Refusal.NOT_ASKED} for name, promise in REFUSALS.items()},
}
"""For each form of ops, each kind of fault, and the ops refused with each class of error: the
promises, with their values, that keep these out of programs.  For the odd forms, ``_ODD`` has the
names of the promises."""
_LAST_OPS: dict[str, tuple[Any, ...]] = {
    "write": HOST_WRITES,
    "free": (Alloc, Free),
    "command": (Dispatch, DispatchIndirect, Copy, Replay),
    "read": (Read,),
}
"""The ops before which a sync is put, by the kind of the second op of a pair."""


def avoidable(words: Iterable[str], refused: Iterable[str]) -> Avoided:
    """What programs can leave out: some ``words`` of a signature, and the ``refused`` ops' sorts.

    If a target accepts a wrong handle, all ops with wrong handles are left out, since all verbs
    look up handles in the same way.  Otherwise only the sort of the refused op is left out.
    """
    words = tuple(words)
    forms = {word for word in words if word in _PROMISES and word not in SURVIVED}
    clients, faults = ([each for each in words if each in kind] for kind in _CONDITIONS)
    both = {f"{client}{_WITH}{fault}" for client in clients for fault in faults}
    return frozenset(forms | (both or {*clients, *faults})) | {parted(each)[0] for each in refused}


def left_out(case: Case, avoided: Avoided) -> Avoided:
    """The part of ``avoided`` that this case leaves out; it follows from the case's seed."""
    if not avoided:
        return frozenset()
    choices = SeededChoices(f"avoids {case.seed}")
    if choices.integer(1, AGAIN_EVERY) == 1:
        return frozenset()
    return frozenset(
        word
        for word in sorted(avoided)
        if not _is_condition(word) or choices.integer(1, CONDITION_AGAIN_EVERY) > 1
    )


def _is_condition(word: str) -> bool:
    return any(word.partition(_WITH)[0] in kind for kind in _CONDITIONS)


def with_only(case: Case, needs: Avoided, kernels: Kernels, limits: Limits) -> Case:
    """``case`` without the forms, refused ops, client and faults that programs can leave out.

    What ``needs`` names stays in it.
    """
    kept = {part for word in needs for part in word.split(_WITH)}
    meant = run_reference(case.program, kernels, limits)
    refused = refusals(case.program, meant, meant, kernels)
    sorts = {parted(f"{each.rpartition(' ')[0]} {RAISED}")[0] for each in refused}
    gone = {sort for sort in sorts if kept.isdisjoint((sort, sort.partition(" ")[0]))}
    forms = {word for word in (*_PROMISES, *FOREIGN_CLIENTS) if not word.startswith(_REFUSES)}
    return without(case, frozenset(gone | forms) - kept, kernels, limits)


def without(case: Case, avoided: Avoided, kernels: Kernels, limits: Limits) -> Case:
    """``case`` without what is ``avoided``."""
    if not avoided:
        return case
    program = _without_refused(case.program, avoided, kernels, limits)
    stated = case.promises or Capabilities()
    promises = _narrowed(stated, avoided)
    if promises != stated:
        program = fitted(program, promises, kernels, limits)
        case = replace(case, promises=promises)
    conditions = {case.client, *(f"{case.client}{_WITH}{fault}" for fault in case.injected)}
    return replace(
        case,
        program=program,
        client=case.client if avoided.isdisjoint(conditions) else PLAIN,
        disturbance=case.disturbance and case.disturbance.allowed(promises),
    )


def _narrowed(promises: Capabilities, avoided: Avoided) -> Capabilities:
    dropped: dict[str, Any] = {}
    for word in sorted(avoided & _PROMISES.keys()):
        dropped.update(_PROMISES[word])
        for name in _ODD.get(word, ()):
            unit = getattr(promises, name)
            dropped[name] = unit if unit % WORD_BYTES == 0 else unit * WORD_BYTES
    return replace(promises, **dropped)


def _without_refused(
    program: Program, avoided: Avoided, kernels: Kernels, limits: Limits
) -> Program:
    """The program without those refused ops whose sorts are ``avoided``.

    The other ops mean the same without them, since a refused op changes nothing.
    """
    sorts = frozenset(word for word in avoided - _PROMISES.keys() if not _is_condition(word))
    if not sorts:
        return program
    outcomes = run_reference(program, kernels, limits).outcomes
    pairs = zip(program, outcomes, strict=True)
    return Program(tuple([op for op, each in pairs if not is_of(op, each.error, sorts, kernels)]))


def cured(
    case: Case, words: Iterable[str], needs: Avoided, kernels: Kernels, limits: Limits
) -> Case:
    """``case`` without the ``needs`` of bugs, and with syncs inside the pairs of ops in ``words``.

    ``words`` are the words of the bugs' signatures.  Words for single kinds of ops give no cure.
    """
    healthy = without(case, needs, kernels, case.limits(limits))
    return replace(healthy, program=Program(tuple(_apart(healthy.program, tuple(words)))))


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
