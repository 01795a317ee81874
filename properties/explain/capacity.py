"""Tries larger limits where a law saw a limit of the policy exceeded, to see by how much.

A shrunk program has the smallest limit.  There a limit that is too large by one looks like a limit
that is never kept.  So a longer program runs under larger limits.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.ops import Replay
from gpusim.program import Program
from properties.explain.experiments import Judge
from properties.explain.hops import most_waiting
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws

_LIMITS = (1, 4)
_IN_BYTES = "queued_write_bytes"
_TIMES = 9
_FIELDS = {
    " free staging buffers, where": "staging_buffers",
    " workgroups before its last": "batch_groups",
    " commands, where": "batch_commands",
    " bytes of host writes wait": "queued_write_bytes",
}
"""The field of the policy, by words of the law."""
_DISPATCHES = ["dispatch affine x 1,1 1x1x1"] * _TIMES
_OPS = {
    "staging_buffers": ("reads", "".join(f"read x 0 4 -> x{n}\n" for n in range(_TIMES))),
    _IN_BYTES: (
        "writes of one word",
        "".join(f"write y{n} 0 01010101\n" for n in range(_TIMES)),
    ),
}
_PLAINLY = ("dispatches", "\n".join(_DISPATCHES) + "\n")
_REPLAYED = ("dispatches of one replay", f"capture g {'; '.join(_DISPATCHES)}\nreplay g * -\n")
_LAWS = (laws.C4.name, laws.D6.name)
LIFTED: Mapping[str, Any] = {
    "batch_commands": None,
    "batch_groups": None,
    "batch_bytes": None,
    "first_batch": None,
    "join_reads": False,
}
"""Settings with which no other limit submits a batch.  Each read has a staging buffer."""


def tell_capacity(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """What the law says of a longer program, under each of a few larger limits."""
    if again is None or failure.kind is not FailureKind.LAW or failure.trait not in _LAWS:
        return NOTHING
    said, case = failure.notes[0], verdict.execution.case
    field = next((name for words, name in _FIELDS.items() if words in said), "")
    if not field:
        return NOTHING
    is_replayed = any(isinstance(op, Replay) for op in case.program)
    what, ops = _OPS.get(field, _REPLAYED if is_replayed else _PLAINLY)
    made = "".join(f"alloc y{n} 4\n" for n in range(_TIMES))
    program = Program.parse(f"alloc x 64\n{made}write x 0 01010101\nflush\n{ops}sync\n")
    unit = WORD_BYTES if field == _IN_BYTES else 1
    told = []
    for limit in _LIMITS:
        policy = replace(case.policy, **{**LIFTED, field: limit * unit})
        judged = again(replace(case, program=program, policy=policy, transformations=()))
        failed = judged.failure
        if failed is None or failed.trait == failure.trait:
            end = "it passes" if failed is None else failed.notes[0].partition(", where")[0]
            if failed is not None and field == _IN_BYTES:
                count = sum(len(call.event["data"]) for call in most_waiting(judged))
                end = f"{count} bytes wait for a submit"
            told.append(f"with {field}={limit * unit}: {end}")
    fact = f"tried {_TIMES} {what} in a row: {'; '.join(told)}"
    return Told(facts=(fact,)) if told else NOTHING
