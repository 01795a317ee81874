"""Runs longer programs under small limits: what happens when a pool, a batch or a queue is full?

Shrinking makes a limit as small as it can.  Under so small a limit, a runtime that exceeds it by
one looks like a runtime that never keeps it.  So a longer program runs under a small and a larger
limit.

A runtime whose uniforms are full submits the batch, and then every slot is free again.  Two small
batches tell whether each dispatch of the second one runs with its own scalars.
"""

from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.ops import Dispatch, Replay
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.policy import Uniforms
from properties.explain.batches import most_waiting
from properties.explain.calls import calls_of
from properties.explain.clocks import read_clocks
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import LIFTED, Evidence, Trials, by_trial, sides
from properties.model.execution import Execution
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import UNIFORM

_LIMITS = (1, 4)
_MOST_UPLOAD_BYTES = 512
_IN_BYTES = "queued_write_bytes"
_TIMES = 9
_FIELDS = {
    " free staging buffers, where": "staging_buffers",
    " workgroups before its last": "batch_groups",
    " commands, where": "batch_commands",
    " bytes of host writes wait": _IN_BYTES,
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
_NONE = "none"
_BATCHES = (
    "".join(f"alloc {name} 4\n" for name in "xyzw")
    + "dispatch affine x 1,2 1x1x1\ndispatch affine y 1,3 1x1x1\nflush\n"
    + "dispatch affine z 1,4 1x1x1\ndispatch affine w 1,5 1x1x1\n"
    + "".join(f"read {name} 0 4 -> r{name}\n" for name in "xyzw")
)
"""Two batches; each dispatch writes its last scalar to a buffer of its own."""
BY_PLACE = "so each ran with the payload of the same position in the first batch"
_RAN = {
    (0, 1, 0, 1): BY_PLACE,
    (1, 1, 3, 3): "so in each batch the second wrote over the payload of the first",
    (1, 1, 2, 3): "so in the first batch the second wrote over the payload of the first",
    (0, 0, 0, 0): "so all ran with the payload of the first",
}
"""The four dispatches are numbered from 0; a key has, for each, whose payload it ran with."""
_OF_FULL = (laws.B3.name, laws.E6.name)
_POOL = "uniform_slots"
_ROOM = {Uniforms.POOLED: _POOL, Uniforms.CACHED: "uniform_cache"}
"""The field of the policy that says for how many payloads there is room."""
_SLOTS, _DUE = 4, ["5", "9"]
_ROW = "alloc x 4\n" + "".join(f"dispatch affine x {n},1 1x1x1\n" for n in range(_TIMES))
_FULL = FlushReason.UNIFORMS.value


@by_trial(FailureKind.LAW)
def tell_capacity(evidence: Evidence, trials: Trials) -> Told:
    """Tells what the broken law says of a longer program, under each of two limits."""
    failure, policy = evidence.failure, evidence.case.policy
    if failure.trait not in _LAWS:
        return NOTHING
    if any(words in failure.said for words in _EARLY):
        return _of_early(trials)
    field = next((name for words, name in _FIELDS.items() if words in failure.said), "")
    if not field:
        return NOTHING
    is_replayed = any(isinstance(op, Replay) for op in evidence.program)
    what, ops = _OPS.get(field, _REPLAYED if is_replayed else _PLAINLY)
    made = "".join(f"alloc y{n} 4\n" for n in range(_TIMES))
    text = f"alloc x 64\n{made}write x 0 01010101\nflush\n{ops}sync\n"
    unit = WORD_BYTES if field == _IN_BYTES else 1
    said = []
    # If the limit of the case is 0, then 0 is tried too: the runtime may take it for no limit.
    for limit in _LIMITS if getattr(policy, field) else (*_LIMITS, 0):
        judged = trials.under(**{**LIFTED, field: limit * unit}).run(text)
        failed, end = judged.failure, "it passes"
        if failed is not None and failed.trait != failure.trait:
            continue
        if failed is not None:
            end = failed.notes[0].partition(", where")[0]
            if field == _IN_BYTES:
                count = sum(
                    len(call.event["data"]) for call in most_waiting(judged.execution.trace)
                )
                end = f"{count} bytes wait for a submit"
        said.append(f"with {field}={limit * unit}: {end}")
    return told(f"tried {_TIMES} {what} in a row: {'; '.join(said)}" if said else "")


def _of_early(trials: Trials) -> Told:
    """Tells how many commands the early batches have before a sync and after it, by first_batch.

    Also tells which dispatches were never submitted.
    """
    ops = [f"dispatch affine x 3,1 1x1x{n + 1}" for n in range(2 * _TIMES)]
    text = "\n".join(["alloc x 64", *ops[:_TIMES], "sync", *ops[_TIMES:], ""])
    said, lost = [], []
    for first in _FIRST:
        execution = trials.under(**{**LIFTED, "first_batch": first}).run(text).execution
        made = calls_of(execution.trace, "encode", reason="early")
        before, after = (
            " ".join(str(c.event["commands"]) for c in made if (c.position > _TIMES) is is_late)
            for is_late in (False, True)
        )
        due = "none" if first is None else f"{first} and {first}"
        said.append(
            f"with first_batch={first}: {before or 'none'} before the sync, {after or 'none'} "
            f"after (due {due})"
        )
        lost.append(f"with first_batch={first} {_never_submitted(execution)}")
    fact, left = f"tried {_TIMES} dispatches, a sync and {_TIMES} more", "; ".join(lost)
    is_lost = any(not each.endswith(_NONE) for each in lost)
    return told(
        f"{fact}; never submitted, not even by the close: {left}" if is_lost else "",
        f"{fact}; sizes of the early batches {'; '.join(said)}",
    )


def _never_submitted(execution: Execution) -> str:
    """Names the dispatches that were never submitted; they are counted from 1."""
    traced = read_clocks(execution)
    dispatches = [n for n, op in enumerate(execution.case.program) if isinstance(op, Dispatch)]
    left = [str(n) for n, at in enumerate(dispatches, 1) if traced.never_submitted(at)]
    return f"dispatches {', '.join(left)}" if left else _NONE


@by_trial(follows_policy=True)
def tell_upload(evidence: Evidence, trials: Trials) -> Told:
    """If an upload buffer was written past its end: tells which host writes wrongly went there."""
    size, broken = evidence.case.policy.upload_bytes, evidence.traced.broken
    if broken is None or broken.trait != laws.G4.name:
        return NOTHING
    if "upload buffer" not in " ".join(broken.notes) or not 8 <= size <= _MOST_UPLOAD_BYTES:
        return NOTHING
    half, more = size // 2, WORD_BYTES
    wrong, right = trials.apart(
        {
            f"one of {size}": _writing(size),
            f"one of {size + more}": _writing(size + more),
            f"two of {half}": _writing(half, half),
            f"two of {half + more}": _writing(half + more, half + more),
        }
    )
    if not wrong or not right:
        return NOTHING
    return told(
        f"upload_bytes={size}: a write that finds no room in the upload buffer must not be staged, "
        f"but must submit the batch first; tried writes, in bytes: wrong are "
        f"{' and '.join(wrong)}; right are {' and '.join(right)}"
    )


def _writing(*lengths: int) -> str:
    """Writes of these lengths to a buffer that a dispatch uses, with no submit between them."""
    writes = (f"write x {512 * n} {'01' * size}\n" for n, size in enumerate(lengths))
    return "alloc x 2048\ndispatch affine x 3,1 1x1x1\n" + "".join(writes)


@by_trial(follows_policy=True, without_faults=True)
def tell_batches(evidence: Evidence, trials: Trials) -> Told:
    """Tells with whose scalars the dispatches of a second batch ran, if not with their own."""
    law = evidence.broken
    if law not in (laws.B1.name, *_OF_FULL):
        return NOTHING
    # If slots were used again too early, the trial needs a full pool or cache.
    field = _ROOM.get(evidence.case.policy.uniforms, "") if law in _OF_FULL else ""
    room: dict[str, Any] = {field: 1} if field else {}
    pairs = sides(trials.under(**LIFTED, **room).run(_BATCHES))[-4:]
    own, ran = [meant for meant, _ in pairs], [got for _, got in pairs]
    taken = _of_pool(trials) if law == laws.B3.name and field == _POOL else ""
    if own == ran or None in ran:
        return told(taken)
    whose = [f"{int.from_bytes(data or b'', 'little')}" for data in ran]
    how = next((said for places, said in _RAN.items() if ran == [own[n] for n in places]), "")
    return told(
        taken,
        "tried two dispatches, a submit, and two more, with the scalars 2, 3 and then 4, 5"
        f"{f', with {field}=1' if field else ''}: they ran with {', '.join(whose[:2])} and then "
        f"{', '.join(whose[2:])}{f'; {how}' if how else ''}",
    )


def _of_pool(trials: Trials) -> str:
    """Tells which uniform buffers dispatches in a row write, and where a full pool submits."""
    pooled = trials.plainly().under(**LIFTED, debug_submit_each=False, **{_POOL: _SLOTS})
    trace = pooled.run(_ROW).execution.trace
    taken = [c.event["buffer"] for c in calls_of(trace, "write_buffer", role=UNIFORM)]
    submits = [call for call in calls_of(trace, "encode") if 0 < call.position <= _TIMES]
    full = [str(call.position) for call in submits if call.event["reason"] == _FULL]
    if len({*taken}) >= _SLOTS or len(full) < len(submits):
        return ""
    where = f"before dispatches {', '.join(full)}" if full else "nowhere"
    said = f"submits for a full pool come {where}"
    if full == _DUE:
        said += ": slots are counted, but the dispatches do not each take their own"
    else:
        due = ", ".join(_DUE)
        said += f", but are due before dispatches {due}: slots in use are not counted as in use"
    which = f"all {taken[0]}" if len({*taken}) == 1 else ", ".join(map(str, taken))
    return (
        f"tried {_TIMES} dispatches in a row, with {_POOL}={_SLOTS}: the uniform buffers that they "
        f"write are {which}; {said}"
    )
