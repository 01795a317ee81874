"""Tries what has to wait for a sync, if a sync returned before all was done that came before it.

A runtime may look only at what it has yet to submit.  So the ops before the sync were submitted in
one trial, and wait in another; and the sync is the first in one trial, and the second in another.
"""

from dataclasses import replace

from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.explain.capacity import LIFTED
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import D3

_POLICY = replace(PRESETS["lazy"], **{**LIFTED, "join_reads": True})
"""Under it every command waits until a flush or a sync."""
_FIRST = {
    "as the first sync": "alloc x 4\n",
    "after an earlier sync behind a write": "alloc x 4\nwrite x 0 01010101\nsync\n",
    "after an earlier sync behind a read": "alloc x 4\nread x 0 4 -> first\nsync\n",
}
_DISPATCH = "dispatch affine x 1,1 1x1x1\n"
_READ, _FLUSH, _SYNC = "read x 0 4 -> r\n", "flush\n", "sync\n"
_BEFORE = {
    "a read that was submitted": f"{_READ}{_FLUSH}",
    "a dispatch that was submitted": f"{_DISPATCH}{_FLUSH}",
    "a write that acted at once": "write x 0 02020202\n",
    "a read not submitted yet": _READ,
    "a dispatch not submitted yet behind a read that was": f"{_READ}{_FLUSH}{_DISPATCH}",
}


def tell_awaited(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Which syncs return too early; NOTHING if none of those tried does, or if all do."""
    case = verdict.execution.case
    is_early = failure.trait == D3.name or "not delivered when it returned" in failure.reason
    if again is None or not is_early or case.follows_no_policy or len(case.device.faults):
        return NOTHING
    lifted = replace(case, policy=_POLICY, client=PLAIN, transformations=())
    tried = {
        (first, before): again(
            replace(lifted, program=Program.parse(f"{made}{ops}{_SYNC}"))
        ).failure
        for first, made in _FIRST.items()
        for before, ops in _BEFORE.items()
    }
    early = [key for key, failed in tried.items() if failed is not None]
    if not early or len(early) == len(tried):
        return NOTHING
    firsts = [first for first in _FIRST if any(key[0] == first for key in early)]
    befores = [before for before in _BEFORE if any(key[1] == before for key in early)]
    right = [before for before in _BEFORE if before not in befores]
    return Told(
        facts=(
            f"tried under policy lazy join_reads=True: {' or '.join(firsts)}, a sync returns too "
            "early behind "
            f"{' or '.join(befores)}",
            f"no sync does behind {' or '.join(right)}",
        )
    )
