"""Runs a longer program under two limits, to see by how much a runtime exceeds its limit.

Shrinking makes a limit as small as it can.  Under so small a limit, a runtime that exceeds it by
one looks like a runtime that never keeps it.  So a longer program runs under a small and a larger
limit.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.ops import Dispatch, Read, Replay
from gpusim.program import Program
from gpusim.runtime.byte_plans import words_down, words_up
from gpusim.runtime.commands import Role
from properties.explain.calls import calls
from properties.explain.clocks import Traced, read_clocks
from properties.explain.experiments import Judge
from properties.explain.hops import most_waiting
from properties.explain.told import NOTHING, Told
from properties.model.execution import Execution
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import LawContext

_LIMITS = (1, 4)
_MOST_UPLOAD_BYTES = 512
_IN_BYTES = "queued_write_bytes"
_TIMES = 9
_FIELDS = {
    " free staging buffers, where": "staging_buffers",
    " workgroups before its last": "batch_groups",
    " commands, where": "batch_commands",
    " bytes of host writes wait": "queued_write_bytes",
}
"""The field of the policy, by words in the report of the law."""
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
_LAWS = (laws.C4.name, laws.C7.name, laws.D6.name)
_EARLY = (" soon after a sync", "'early'")
"""Words in the report of a law about ``first_batch``."""
_FIRST = (None, 4)
_NONE = "none of them"
LIFTED: Mapping[str, Any] = {
    "batch_commands": None,
    "batch_groups": None,
    "batch_bytes": None,
    "first_batch": None,
    "join_reads": False,
}
"""Settings under which no limit but the one that is tried makes the runtime submit a batch.

Each read has a staging buffer of its own.
"""


def _short_staging(verdict: Verdict, again: Judge | None) -> Told:
    """Tells of a staging buffer that was made for a read and is smaller than its whole words."""
    case, failure = verdict.execution.case, verdict.failure
    if failure is None or failure.kind is not FailureKind.LATE_ERROR:
        return NOTHING
    at = failure.position
    op = case.program[at] if 0 <= at < len(case.program) else None
    if not isinstance(op, Read):
        return NOTHING
    due = words_up(op.offset + op.size_bytes) - words_down(op.offset)
    made = [
        call
        for call in calls(verdict.execution.trace)
        if call.event.kind == "create_buffer"
        and call.event["role"] == Role.STAGING
        and call.position == at
    ]
    if len(made) != 1 or made[0].event["size_bytes"] >= due:
        return NOTHING
    size, number = made[0].event["size_bytes"], made[0].event["buffer"]
    fact = (
        f"op {at} made staging buffer {number} of {size} bytes (call {made[0].number}), and its "
        f"read takes {due}"
    )
    joined = case.policy.join_reads
    other = replace(case, policy=replace(case.policy, join_reads=not joined))
    if again is not None and again(other).failure is not None:
        fact += f"; it fails with join_reads={not joined} as well, so pages have no part in it"
    return Told(facts=(fact,))


def tell_upload(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """If an upload buffer was written past its end: which host writes are staged all the same.

    If no law is broken, a staging buffer may be too small for its read.
    """
    case, broken = verdict.execution.case, traced.broken
    if broken is None:
        return _short_staging(verdict, again)
    if again is None or broken.trait != laws.G4.name or case.follows_no_policy:
        return NOTHING
    size = case.policy.upload_bytes
    if "upload buffer" not in " ".join(broken.notes) or not 8 <= size <= _MOST_UPLOAD_BYTES:
        return NOTHING
    half = size // 2
    lengths = {
        f"one of {size}": (size,),
        f"one of {size + WORD_BYTES}": (size + WORD_BYTES,),
        f"two of {half}": (half, half),
        f"two of {half + WORD_BYTES}": (half + WORD_BYTES, half + WORD_BYTES),
    }
    wrong = [
        what
        for what, each in lengths.items()
        if again(replace(case, program=_writing(each), transformations=())).failure is not None
    ]
    right = [what for what in lengths if what not in wrong]
    if not wrong or not right:
        return NOTHING
    return Told(
        facts=(
            f"upload_bytes={size}: a write that the upload buffer has no room for is not to be "
            f"staged, and the batch is submitted first; tried writes, in bytes: wrong are "
            f"{' and '.join(wrong)}; right are {' and '.join(right)}",
        )
    )


def _writing(lengths: tuple[int, ...]) -> Program:
    """Writes of these lengths to a buffer that a dispatch uses, with no submit between them."""
    text = "alloc x 2048\ndispatch affine x 3,1 1x1x1\n"
    return Program.parse(
        text + "".join(f"write x {512 * n} {'01' * size}\n" for n, size in enumerate(lengths))
    )


def _tell_early(verdict: Verdict, again: Judge) -> Told:
    """Tells how many commands the early batches have before a sync and after it, by first_batch.

    Also which of the dispatches no submit carried out.
    """
    case = verdict.execution.case
    ops = [f"dispatch affine x 3,1 1x1x{n + 1}" for n in range(2 * _TIMES)]
    program = Program.parse("\n".join(["alloc x 64", *ops[:_TIMES], "sync", *ops[_TIMES:]]))
    told, lost = [], []
    for first in _FIRST:
        policy = replace(case.policy, **{**LIFTED, "first_batch": first})
        execution = again(
            replace(case, program=program, policy=policy, transformations=())
        ).execution
        made = [
            (call.position > _TIMES, str(call.event["commands"]))
            for call in calls(execution.trace)
            if call.event.kind == "encode" and call.event["reason"] == "early"
        ]
        before, after = (
            " ".join(size for late, size in made if late is is_late) or "none"
            for is_late in (False, True)
        )
        due = "none" if first is None else f"{first} and {first}"
        told.append(
            f"with first_batch={first}: {before} before the sync, {after} after (due {due})"
        )
        lost += [f"with first_batch={first} {_never_submitted(execution)}"]
    fact = f"tried {_TIMES} dispatches, a sync and {_TIMES} more"
    left = [each for each in lost if not each.endswith(_NONE)]
    return Told(
        facts=(
            *([f"{fact}: no submit, to the close, carried out, {'; '.join(lost)}"] if left else []),
            f"{fact}; sizes of the early batches {'; '.join(told)}",
        )
    )


def _never_submitted(execution: Execution) -> str:
    """Which dispatches no submit carried out, counted from 1."""
    traced = read_clocks(execution.trace, LawContext.of(execution))
    dispatches = [n for n, op in enumerate(execution.case.program) if isinstance(op, Dispatch)]
    left = [n for n, at in enumerate(dispatches, 1) if traced.never_submitted(at)]
    return f"dispatches {', '.join(map(str, left))}" if left else _NONE


def tell_capacity(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells what the broken law says of a longer program, under each of two limits."""
    if again is None or failure.kind is not FailureKind.LAW or failure.trait not in _LAWS:
        return NOTHING
    said, case = failure.notes[0] if failure.notes else failure.reason, verdict.execution.case
    if any(words in said for words in _EARLY):
        return _tell_early(verdict, again)
    field = next((name for words, name in _FIELDS.items() if words in said), "")
    if not field:
        return NOTHING
    is_replayed = any(isinstance(op, Replay) for op in case.program)
    what, ops = _OPS.get(field, _REPLAYED if is_replayed else _PLAINLY)
    made = "".join(f"alloc y{n} 4\n" for n in range(_TIMES))
    program = Program.parse(f"alloc x 64\n{made}write x 0 01010101\nflush\n{ops}sync\n")
    unit = WORD_BYTES if field == _IN_BYTES else 1
    told = []
    # A limit of 0 may be taken for no limit; a limit that only grew small by shrinking is not 0.
    for limit in _LIMITS if getattr(case.policy, field) else (*_LIMITS, 0):
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
