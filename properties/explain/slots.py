"""Finds uniform slots and staging buffers of pools that are used again or destroyed too early.

A pool has a number of slots, and a ring a number of bytes.  When all are used, a submit must come
before any is used again.  A payload must also stand where its dispatch binds it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.kernels import Kernel
from gpusim.runtime.policy import Uniforms
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.payloads import OURS, bounds
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STAGING, STORAGE, UNIFORM
from properties.oracles.laws.order import UNASKED

_EIGHT = "dispatch affine x 3,1 1x1x1\n"
_FILLED_POOL = f"alloc x 64\n{_EIGHT * 3}flush\n"
_LAST = {
    4: "dispatch tally x 5 1x1x1\n",
    8: "dispatch affine x 5,1 1x1x1\n",
    48: "dispatch many x 1,2,3,4,5,6,7,8,9,10,11,12 1x1x1\n",
}
"""Dispatches by the bytes of their payload."""
_OF_GROUPS = (FailureKind.ERROR, FailureKind.LATE_ERROR, FailureKind.VALUE, FailureKind.LAW)
_MOST_READS = 8
"""The largest number of pooled staging buffers for which the pool is filled in a trial."""
_ENDS = ("encode", "submit")
_OF_POOLS = (laws.B1.name, laws.E6.name)


def tell_pool(verdict: Verdict, traced: Traced) -> Told:
    """Tells that the pool of uniform slots was full, and used a slot again without a submit."""
    policy, broken = verdict.execution.case.policy, traced.broken
    if policy.uniforms is not Uniforms.POOLED or broken is None or broken.trait not in _OF_POOLS:
        return NOTHING
    for taken in _between_submits(verdict):
        if len(taken) > policy.uniform_slots:
            first, again = taken[0], taken[policy.uniform_slots]
            count = policy.uniform_slots
            sentence = (
                f"the pool of {count} uniform slots was full at {again.place}, with "
                f"{first.place} still waiting, and no submit came before its slots were used again"
            )
            told = ", ".join(f"{call.place.partition(' (')[0]} at {call.number}" for call in taken)
            facts = (
                f"uniform payloads since the last submit, each with its call: {told}",
                f"so {broken.notes[0] if broken.notes else broken.reason}",
            )
            return Told(sentence=sentence, culprit=again.position, facts=facts)
    return NOTHING


def _between_submits(verdict: Verdict) -> Iterator[list[Call]]:
    """For each submit, the writes of uniforms since the submit before it."""
    taken: list[Call] = []
    for call in calls(verdict.execution.trace):
        if call.event.kind == "submit":
            yield taken
            taken = []
        elif call.event.kind == "write_buffer" and call.event["role"] == UNIFORM:
            taken.append(call)


def tell_offset(verdict: Verdict, failure: Failure, traced: Traced) -> Told:
    """Tells of a dispatch that binds uniforms where no payload of its batch was written.

    Its batch was refused, or no op asked for the dispatch, which is of a kernel for odd bytes.
    """
    is_asked = failure.kind in (FailureKind.ERROR, FailureKind.LATE_ERROR)
    at = traced.broken_at if UNASKED in " ".join(getattr(traced.broken, "notes", ())) else -1
    if verdict.execution.case.policy.uniforms is Uniforms.CACHED and not is_asked:
        # A cache has one slot for all equal payloads, so it may be written for an earlier batch.
        return NOTHING
    kernels = {**verdict.execution.kernels, **{each.name: each for each in OURS}}
    made: dict[int, Call] = {}
    written: dict[int, list[Call]] = {}
    dispatches: list[Call] = []
    for call in calls(verdict.execution.trace):
        kind, is_refused = call.event.kind, call.failed and call.event["verb"] in _ENDS
        if (is_refused and is_asked) or call.number == at:
            ours = [each.name for each in OURS]
            own = [each for each in dispatches if is_refused or each.event["kernel"] in ours]
            told = [_cut(each, written, made, kernels) or _astray(each, written) for each in own]
            return next(filter(None, told), NOTHING)
        if kind == "create_buffer":
            made[call.event["buffer"]] = call
        elif kind == "write_buffer" and call.event["role"] == UNIFORM:
            written.setdefault(call.event["buffer"], []).append(call)
        elif kind == "dispatch":
            dispatches.append(call)
        elif kind in _ENDS:
            dispatches = []
    return NOTHING


def _cut(
    dispatch: Call,
    written: dict[int, list[Call]],
    made: dict[int, Call],
    kernels: Mapping[str, Kernel],
) -> Told | None:
    """Tells of a payload that was written in part, as its slot has no room for all of it."""
    number, _, size_bytes = dispatch.event["ranges"][-1]
    name = dispatch.event["kernel"]
    wanted = kernels[name].uniform_bytes if name in kernels else 0
    if number not in written or not size_bytes < wanted:
        return None
    slot, write = made[number], written[number][-1]
    length = len(write.event["data"])
    return Told(
        sentence=(
            f"{write.place} was given uniform buffer {number}, of {slot.event['size_bytes']} "
            f"bytes, for a payload of {wanted}: call {write.number} wrote {length} bytes of it, "
            f"and its dispatch of {name} bound {size_bytes}"
        ),
        culprit=write.position,
        rule=laws.B6,
        facts=(
            f"{slot.place} made that buffer (call {slot.number}); a slot of a pool may be used "
            "again only for a payload that it has room for",
        ),
    )


def _astray(dispatch: Call, written: dict[int, list[Call]]) -> Told | None:
    number, offset, size_bytes = dispatch.event["ranges"][-1]
    if number not in written:
        return None
    *before, write = written[number]
    start, end = bounds(write.event)
    if start <= offset and offset + size_bytes <= end:
        return None
    kernel, fact = dispatch.event["kernel"], ""
    if not start:
        fact = (
            f"after a submit the payloads began anew at byte {start}, but the dispatch kept the "
            "offset of another place in the ring"
        )
    elif before and bounds(before[-1].event)[0] <= offset:
        low, high = bounds(before[-1].event)
        fact = (
            f"call {before[-1].number} wrote the payloads of the batch before to bytes {low} to "
            f"{high - 1}; the next ones were written behind those, and the dispatch's offset "
            f"counts as if they began at byte {low}"
        )
    return Told(
        sentence=(
            f"a dispatch of {kernel} bound its uniforms at byte {offset} of uniform buffer "
            f"{number} (call {dispatch.number}), but the payloads of its batch were written at "
            f"bytes {start} to {end - 1} (call {write.number}, in {write.place})"
        ),
        rule=laws.B1,
        facts=(fact,) if fact else (),
    )


def tell_destroyed(verdict: Verdict, traced: Traced) -> Told:
    """Tells which staging buffer was destroyed during its map, and how many buffers there were."""
    if traced.broken is None or traced.broken.trait != laws.D4.name:
        return NOTHING
    alive: dict[int, Call] = {}
    mapped: set[int] = set()
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "create_buffer" and event["role"] == STAGING:
            alive[event["buffer"]] = call
        elif event.kind == "map":
            mapped.add(event["buffer"])
        elif event.kind == "take":
            mapped.discard(event["buffer"])
        elif event.kind == "destroy_buffer" and event["buffer"] in alive:
            made = alive[event["buffer"]]
            if event["buffer"] in mapped:
                kept = verdict.execution.case.policy.staging_buffers
                fact = (
                    f"{call.place} destroyed staging buffer {event['buffer']}, which {made.place} "
                    f"had made, while its map was under way; there were {len(alive)} staging "
                    f"buffers, with staging_buffers={kept}"
                )
                return Told(facts=(fact,))
            del alive[event["buffer"]]
    return NOTHING


def tell_taken(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """To which staging buffers reads go after a sync that gave back as many, or more, to the pool.

    Asked if a staging buffer was destroyed or copied to while it was in use.
    """
    case = verdict.execution.case
    most = case.policy.staging_buffers
    if again is None or traced.broken is None or traced.broken.trait != laws.D4.name:
        return NOTHING
    if case.follows_no_policy or not 0 < most <= _MOST_READS:
        return NOTHING
    # As many reads as the pool keeps do not make it full; more do.
    few, many = (_taken(verdict, count, again) for count in (most, 2 * most - 1))
    twice = [n for n in dict.fromkeys(many) if many.count(n) > 1]
    if not twice:
        return NOTHING
    fact = (
        f"tried with staging_buffers={most}: {len(many)} reads after a sync of {len(many)} go to "
        f"staging buffers {_listed(many)}"
    )
    if len({*few}) == len(few) == most:
        fact += (
            f", {most} after a sync of {most} to one each: likeliest a buffer that is given back "
            "to a full pool is listed twice"
        )
    return Told(facts=(fact,))


def _taken(verdict: Verdict, count: int, again: Judge) -> list[int]:
    """The staging buffers of ``count`` reads after a sync that delivered as many."""
    reads = "".join(f"read x 0 4 -> {{0}}{n}\n" for n in range(count))
    text = f"alloc x 4\n{reads.format('r')}sync\n{reads.format('s')}"
    case = replace(verdict.execution.case, client=PLAIN)
    plain = replace(verdict, execution=replace(verdict.execution, case=case))
    return [
        call.event["target"]
        for call in calls(instead_of(plain, text, again).execution.trace)
        if call.event.kind == "copy" and count + 1 < call.position <= 2 * count + 1
    ]


def tell_grown(verdict: Verdict, traced: Traced) -> Told:
    """The uniform buffers that one op destroyed, and those that it made in their place."""
    if traced.broken is None or traced.broken.trait != laws.E6.name:
        return NOTHING
    sizes: dict[int, int] = {}
    gone: dict[int, list[int]] = {}
    made: dict[int, list[int]] = {}
    held: dict[int, int] = {}
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "create_buffer" and event["role"] == UNIFORM:
            sizes[event["buffer"]] = event["size_bytes"]
            made.setdefault(call.position, []).append(event["size_bytes"])
        elif event.kind == "destroy_buffer" and event["buffer"] in sizes:
            held.setdefault(call.position, len(sizes))
            gone.setdefault(call.position, []).append(sizes.pop(event["buffer"]))
    for position in sorted(gone.keys() & made.keys() - {-1}):
        whole = "; no older one was left" if held[position] == len(gone[position]) else ""
        fact = (
            f"op {position} destroyed uniform buffers of {_listed(gone[position])} bytes, and made "
            f"some of {_listed(made[position])} bytes{whole}"
        )
        return Told(facts=(fact,))
    return NOTHING


def tell_sizes(verdict: Verdict, traced: Traced, again: Judge | None) -> Told:
    """For which payloads in a pool that was filled before the uniform buffers are destroyed."""
    case = verdict.execution.case
    is_fit = again is not None and not case.follows_no_policy and not len(case.device.faults)
    if traced.broken is None or traced.broken.trait != laws.E6.name or not is_fit:
        return NOTHING
    assert again is not None
    tried = {
        size: fails(verdict, f"{_FILLED_POOL}{_EIGHT}{last}", again) for size, last in _LAST.items()
    }
    wrong = [f"{size}" for size, is_wrong in tried.items() if is_wrong]
    right = [f"{size}" for size, is_wrong in tried.items() if not is_wrong]
    if not wrong or not right:
        return NOTHING
    return Told(
        facts=(
            f"under uniforms={case.policy.uniforms}, after a batch with payloads of 8, 8 and 8 "
            f"bytes: a batch with one of 8 and one of {' or '.join(wrong)} bytes goes wrong, and "
            f"not one with one of 8 and one of {' or '.join(right)}",
        )
    )


def _listed(sizes: list[int]) -> str:
    return ", ".join(map(str, sorted(sizes)))


def tell_gone(verdict: Verdict, failure: Failure) -> Told:
    """Tells of a dispatch with an earlier batch's bind group, a buffer of which was destroyed.

    A uniform buffer in a group of the dispatch's own kernel does not count: the laws on slots say
    more of it.
    """
    if failure.kind not in _OF_GROUPS or len(verdict.execution.case.device.faults):
        return NOTHING
    groups: dict[int, Call] = {}
    made: dict[int, Call] = {}
    gone: dict[int, Call] = {}
    batch: set[int] = set()
    used: set[int] = set()
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "submit":
            used |= batch
            batch = set()
        elif event.kind == "create_bind_group":
            groups[event["group"]] = call
        elif event.kind == "create_buffer":
            made[event["buffer"]] = call
        elif event.kind == "destroy_buffer":
            gone[event["buffer"]] = call
        elif event.kind == "dispatch" and not call.failed:
            group = groups.get(event["group"])
            old = [number for number, _, _ in event["ranges"] if number in gone]
            is_other = group is not None and group.event["kernel"] != event["kernel"]
            old = [n for n in old if is_other or made[n].event["role"] == STORAGE]
            if group is not None and old and event["group"] in used:
                told = _with_old_group(call, group, gone[old[0]], made)
                return replace(told, facts=(*told.facts, *_own_group(call, group, groups)))
            batch.add(event["group"])
    return NOTHING


def _own_group(dispatch: Call, given: Call, groups: dict[int, Call]) -> Iterator[str]:
    """The group made for the dispatch's own kernel, if the dispatch was given another kernel's."""
    kernel, others = dispatch.event["kernel"], given.event["kernel"]
    own = [call for call in groups.values() if call.event["kernel"] == kernel]
    if kernel != others and own:
        yield (
            f"bind group {given.event['group']} was made for kernel {others}; {kernel} has group "
            f"{own[-1].event['group']}, made at call {own[-1].number}: likeliest an entry of the "
            "cache has the value of another key"
        )


def _with_old_group(dispatch: Call, group: Call, gone: Call, made: dict[int, Call]) -> Told:
    number = gone.event["buffer"]
    own = [n for n, call in made.items() if call.position == dispatch.position]
    own = [n for n in own if made[n].event["role"] == made[number].event["role"]]
    new = f"; {dispatch.place} made buffer {own[-1]} (call {made[own[-1]].number})" if own else ""
    return Told(
        sentence=(
            f"{dispatch.place} was dispatched with the bind group of {group.place}, which binds "
            f"{made[number].event['role']} buffer {number}; that buffer was destroyed"
        ),
        culprit=dispatch.position,
        rule=laws.E3,
        facts=(
            f"call {dispatch.number} has bind group {dispatch.event['group']}, made at call "
            f"{group.number}; call {gone.number} destroyed its buffer {number}{new}",
        ),
    )
