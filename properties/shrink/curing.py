"""Programs changed so that they do not show the bugs that are known, but may show others.

A frequent bug hides the rarer ones: nearly every program fails, and each shrinks to the frequent
bug.  If a bug needs two ops in one batch, a sync between them cures the program.  If the bug needs
a form of ops, leaving out that form cures the program.  If only the kinds of the ops are known,
there is no cure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from gpusim.kernels import Kernels
from gpusim.limits import Limits
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
from properties.model.case import Case
from properties.shrink.avoid import Avoided, without

_LAST_OPS: dict[str, tuple[Any, ...]] = {
    "write": HOST_WRITES,
    "free": (Alloc, Free),
    "command": (Dispatch, DispatchIndirect, Copy, Replay),
    "read": (Read,),
}
"""The ops before which a sync is put, by the kind of the second op of a pair."""


def cured(
    case: Case, words: Iterable[str], needs: Avoided, kernels: Kernels, limits: Limits
) -> Case:
    """``case`` without the ``needs`` of bugs, and with syncs inside the pairs of ops in ``words``.

    ``words`` are the words of the bugs' signatures.
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
