"""Tries larger limits where a law saw a limit of the policy exceeded, to see by how much.

A shrunk program has the smallest limit.  There a limit that is too large by one looks like a limit
that is never kept.  So a longer program runs under larger limits.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusim.program import Program
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws

_LIMITS = (1, 4)
_FIELDS = {
    " free staging buffers, where": "staging_buffers",
    " workgroups before its last": "batch_groups",
    " commands, where": "batch_commands",
}
"""The field of the policy, by words of the law."""
_TIMES = 9
_OPS = {
    laws.C4.name: "dispatch affine x 1,1 1x1x1\n" * _TIMES,
    laws.D6.name: "".join(f"read x 0 4 -> x{n}\n" for n in range(_TIMES)),
}
_LIFTED: Mapping[str, Any] = {
    "batch_commands": None,
    "batch_groups": None,
    "batch_bytes": None,
    "first_batch": None,
    "join_reads": False,
}
"""Settings with which no other limit submits a batch.  Each read has a staging buffer."""


def tell_capacity(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """What the law says of a longer program, under each of a few larger limits."""
    if again is None or failure.kind is not FailureKind.LAW or failure.trait not in _OPS:
        return NOTHING
    said = failure.notes[0]
    field = next((name for words, name in _FIELDS.items() if words in said), "")
    if not field:
        return NOTHING
    case = verdict.execution.case
    program = Program.parse(f"alloc x 64\nwrite x 0 01010101\n{_OPS[failure.trait]}sync\n")
    told = []
    for limit in _LIMITS:
        policy = replace(case.policy, **{**_LIFTED, field: limit})
        failed = again(replace(case, program=program, policy=policy, transformations=())).failure
        if failed is None or failed.trait == failure.trait:
            end = "it passes" if failed is None else failed.notes[0].partition(", where")[0]
            told.append(f"with {field}={limit}: {end}")
    what = "dispatches" if failure.trait == laws.C4.name else "reads"
    fact = f"tried {_TIMES} {what} in a row: {'; '.join(told)}"
    return Told(facts=(fact,)) if told else NOTHING
