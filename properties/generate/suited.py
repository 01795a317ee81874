"""Changes a policy so that its limits suit the replays and writes of a program already drawn.

Some limits only matter where a program just reaches them.  So they are taken from what the program
does.  The policy that is changed here was drawn in ``cases``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.ops import Capture, Flush, Sync, Write
from gpusim.program import Program
from gpusim.runtime.batch import MOST_QUEUED_WRITES
from gpusim.runtime.policy import ENDLESS_BATCHES, Policy, Uniforms
from properties.generate.choices import Choices

ROOMY: Mapping[str, Any] = {
    **ENDLESS_BATCHES,
    "merge_passes": True,
    "flush_on_conflict": True,
    "defer_frees": True,
    "join_reads": True,
    "staged_write_bytes": 4096,
}
"""With these fields a batch is submitted only if an op asks for a submit, or something runs out."""
_SPLITTING: Mapping[str, Sequence[object]] = {
    "uniforms": (Uniforms.RING,),
    "batch_commands": (None, 3, 2, 5),
    "batch_groups": (None, 5, 16),
    "batch_bytes": (None, 24, 256),
}
"""For each of these fields one value is drawn.  Under these values a replay is recorded as a run,
and a batch may have room for only a part of the run."""
_SPLIT_GRAPHS = 5
"""Of the programs with a graph of several commands, one in this many has such a policy."""
_MOST_PIECES = 256
ROOM_FOR_WRITES = 1 << 24
"""The bytes of host writes that may wait under the presets."""


def suited(choices: Choices, program: Program, policy: Policy, *, long: bool) -> Policy:
    """``policy``, or at times one with limits that the program just reaches."""
    policy = (_streaming if long else _splitting)(choices, program, policy)
    policy = _with_room_for(program, policy)
    return policy if long else _brimming(choices, program, policy)


def _splitting(choices: Choices, program: Program, policy: Policy) -> Policy:
    """``policy``, or at times one whose batches end in the middle of the program's replays."""
    can_split = any(isinstance(op, Capture) and len(op.commands) > 1 for op in program)
    if not can_split or not choices.chance(1, _SPLIT_GRAPHS):
        return policy
    drawn = {name: choices.pick(amounts) for name, amounts in _SPLITTING.items()}
    return replace(policy, **{**ROOMY, **drawn})


_MANY_WRITES = 150
_QUEUED = 56
"""How many writes of average length may wait for a submit in a long program; twice as many may be
unfinished."""


def _streaming(choices: Choices, program: Program, policy: Policy) -> Policy:
    """``policy``; often, if ``program`` has many writes, one that submits each command instead.

    Under it only ``_QUEUED`` writes may wait for a submit.
    """
    written = [len(op.data) for op in program if isinstance(op, Write)]
    if len(written) < _MANY_WRITES or not choices.chance(2, 3):
        return policy
    return replace(
        policy, batch_commands=1, queued_write_bytes=_QUEUED * sum(written) // len(written)
    )


_BRIMMING = 40
"""One program in this many just fills the queue with its writes."""


def _brimming(choices: Choices, program: Program, policy: Policy) -> Policy:
    """``policy``, or at times one whose queue the program's writes would just fill.

    Under a large limit on waiting bytes, a short write counts as more bytes than it has.  If the
    program's writes would just fill such a limit, the policy gets one half of the time.
    """
    amounts, counting = _written_at_once(program)
    if not amounts or not choices.chance(1, 2 if counting else _BRIMMING):
        return policy
    most = max(choices.pick(counting or amounts) - choices.pick((0, 0, 1)), WORD_BYTES)
    return replace(policy, **ROOMY, queued_write_bytes=most)


def _written_at_once(program: Program) -> tuple[list[int], list[int]]:
    """Returns the bytes of the first two writes together, of the first three, and so on.

    A flush or sync starts this anew.  The second list has only the large sums: if such a sum is the
    limit on waiting bytes, one of these writes counts as more bytes than it has.
    """
    amounts: list[int] = []
    counting: list[int] = []
    total, shortest, writes = 0, 0, 0
    for op in program:
        if isinstance(op, Flush | Sync):
            total = writes = 0
        elif isinstance(op, Write) and op.data:
            size_bytes = len(op.data)
            shortest = min(shortest, size_bytes) if writes else size_bytes
            total, writes = total + size_bytes, writes + 1
            if writes > 1:
                amounts.append(total)
                counting += [total] if total // MOST_QUEUED_WRITES > shortest else []
    return amounts, counting


def _with_room_for(program: Program, policy: Policy) -> Policy:
    """``policy``, with more room if it splits the longest write into more than ``_MOST_PIECES``.

    So many pieces would only take long.
    """
    longest = max([len(op.data) for op in program if isinstance(op, Write)], default=0)
    most = policy.queued_write_bytes
    if most is None or longest <= _MOST_PIECES * most:
        return policy
    return replace(policy, queued_write_bytes=ROOM_FOR_WRITES)
