"""Tries what dispatches run once the uniforms are full, and in a second batch.

Where a pool, a ring or a cache is full, the batch is submitted first, and then all is as it was
before.  Two small batches tell whether that is so.
"""

from dataclasses import replace
from math import prod
from typing import Any

from gpusim.ops import Dispatch
from gpusim.program import Program
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.policy import Uniforms
from properties.explain.argument import Argument
from properties.explain.calls import calls
from properties.explain.capacity import LIFTED
from properties.explain.clocks import Traced, read_clocks
from properties.explain.experiments import Judge
from properties.explain.neighbours import instead
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.catalogue import LawContext
from properties.oracles.laws.expected import UNIFORM

_BATCHES = (
    "".join(f"alloc {name} 4\n" for name in "xyzw")
    + "dispatch affine x 1,2 1x1x1\ndispatch affine y 1,3 1x1x1\nflush\n"
    + "dispatch affine z 1,4 1x1x1\ndispatch affine w 1,5 1x1x1\n"
    + "".join(f"read {name} 0 4 -> r{name}\n" for name in "xyzw")
)
"""Two batches; each dispatch writes its last scalar to a buffer of its own."""
BY_PLACE = "so each ran with the payload that stood in its place in the first batch"
_RAN = {
    (0, 1, 0, 1): BY_PLACE,
    (1, 1, 3, 3): "so the second of each batch wrote over the payload of the first",
    (1, 1, 2, 3): "so the second of the first batch wrote over the payload of the first",
    (0, 0, 0, 0): "so all ran with the payload of the first",
}
"""What the four dispatches of these batches show, by whose payload each ran with."""
_OF_FULL = (laws.B3.name, laws.E6.name)
_POOL = "uniform_slots"
_ROOM = {Uniforms.POOLED: _POOL, Uniforms.CACHED: "uniform_cache"}
"""The field of the policy that says for how many payloads there is room."""
_SLOTS, _LONG, _DUE = 4, 9, ["5", "9"]
_ROW = Program.parse(
    "alloc x 4\n" + "".join(f"dispatch affine x {n},1 1x1x1\n" for n in range(_LONG))
)
_GRID, _LARGER = "grid", (2, 3, 2)
_FULL = FlushReason.UNIFORMS.value


def tell_batches(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """With whose scalars the dispatches of a second batch ran, if not with their own."""
    case = verdict.execution.case
    is_fit = again is not None and not case.follows_no_policy and not len(case.device.faults)
    law = traced.broken.trait if traced.broken is not None else ""
    if law not in (laws.B1.name, *_OF_FULL) or not is_fit:
        return NOTHING
    assert again is not None
    # Where slots were used again too early, the pool or the cache is to be full.
    field = _ROOM.get(case.policy.uniforms, "") if law in _OF_FULL else ""
    changes: dict[str, Any] = {**LIFTED, **({field: 1} if field else {})}
    policy = replace(case.policy, **changes)
    judged = again(
        replace(case, policy=policy, program=Program.parse(_BATCHES), transformations=())
    )
    sides = judged.expected.outcomes, judged.execution.history.outcomes
    own, ran = ([each.data for each in side[-4:]] for side in sides)
    taken = _of_pool(verdict, again) if law == laws.B3.name and field == _POOL else ()
    if own == ran or None in ran:
        return Told(facts=taken)
    whose = [f"{int.from_bytes(data or b'', 'little')}" for data in ran]
    how = next((said for ran_with, said in _RAN.items() if ran == [own[n] for n in ran_with]), "")
    return Told(
        facts=(
            *taken,
            "tried two dispatches, a submit, and two more, with the scalars 2, 3 and then 4, 5"
            f"{f', with {field}=1' if field else ''}: they ran with {', '.join(whose[:2])} and "
            f"then {', '.join(whose[2:])}{f'; {how}' if how else ''}",
        )
    )


def _of_pool(verdict: Verdict, again: Judge) -> tuple[str, ...]:
    """Which uniform buffers the dispatches of a row take, and where the pool counts as full."""
    case = verdict.execution.case
    changes: dict[str, Any] = {**LIFTED, "debug_submit_each": False, _POOL: _SLOTS}
    policy = replace(case.policy, **changes)
    case = replace(case, policy=policy, program=_ROW, client=PLAIN, transformations=())
    made = [*calls(again(case).execution.trace)]
    taken = [
        call.event["buffer"]
        for call in made
        if call.event.kind == "write_buffer" and call.event["role"] == UNIFORM
    ]
    submits = [
        (call.event["reason"], str(call.position))
        for call in made
        if call.event.kind == "encode" and 0 <= call.position < len(_ROW)
    ]
    full = [at for reason, at in submits if reason == _FULL]
    if len({*taken}) >= _SLOTS or len(full) < len(submits):
        return ()
    told = (
        f"submits for a full pool come before dispatches {', '.join(full)}: slots are counted, but "
        "the dispatches do not each take their own"
        if full == _DUE
        else f"submits for a full pool come before dispatches {', '.join(full) or 'none'}, where "
        f"they are due before {', '.join(_DUE)}: slots in use are not counted as in use"
    )
    which = f"all {taken[0]}" if len({*taken}) == 1 else ", ".join(map(str, taken))
    return (
        f"tried {_LONG} dispatches in a row, with {_POOL}={_SLOTS}: the uniform buffers that they "
        f"write are {which}; {told}",
    )


def tell_full(
    verdict: Verdict, kind: str, argument: Argument, traced: Traced, again: Judge | None
) -> Told:
    """Tells what a dispatch did that ran over other groups: its submit, and it over a larger grid.

    ``kind``: the kind of the mistake that explains the bytes.
    """
    case, at = verdict.execution.case, argument.culprit
    op = case.program[at] if 0 <= at < len(case.program) else None
    if kind != _GRID or again is None or not isinstance(op, Dispatch) or not traced.is_known:
        return NOTHING
    facts = [
        f"op {at} found the uniforms full, so it first submitted the commands before it (call "
        f"{call.number}, reason: {_FULL})"
        for call in calls(verdict.execution.trace)
        if call.event.kind == "encode" and call.position == at and call.event["reason"] == _FULL
    ]
    larger = replace(op, grid=_LARGER)
    execution = again(replace(case, program=instead(case.program, at, larger))).execution
    accused = None
    if execution.is_lawful:
        accused = read_clocks(execution.trace, LawContext.of(execution)).accused
    if accused is not None and accused.expected.position == at:
        groups = prod(accused.command.about.get("groups", ()))
        facts.append(f"tried over {prod(_LARGER)} groups, op {at} ran over {groups or 'none'}")
    return Told(facts=tuple(facts[:2]))
