"""Finds uniform slots and staging buffers of pools that are used again or destroyed too early.

A pool has a number of slots, and a ring a number of bytes.  When all are used, a submit must come
before any is used again.  A payload must also stand where its dispatch binds it.
"""

from collections.abc import Iterator
from dataclasses import replace

from gpusim.runtime.policy import Uniforms
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.experiments import Judge, fails, instead_of
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STAGING, STORAGE, UNIFORM

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


def tell_offset(verdict: Verdict) -> Told:
    """Tells of a dispatch in a refused batch that binds uniforms where no payload was written."""
    written: dict[int, Call] = {}
    dispatches: list[Call] = []
    for call in calls(verdict.execution.trace):
        kind = call.event.kind
        if call.failed and call.event["verb"] in ("encode", "submit"):
            return next(filter(None, (_astray(each, written) for each in dispatches)), NOTHING)
        if kind == "write_buffer" and call.event["role"] == UNIFORM:
            written[call.event["buffer"]] = call
        elif kind == "dispatch":
            dispatches.append(call)
        elif kind in ("encode", "submit"):
            dispatches = []
    return NOTHING


def _astray(dispatch: Call, written: dict[int, Call]) -> Told | None:
    number, offset, size_bytes = dispatch.event["ranges"][-1]
    write = written.get(number)
    if write is None:
        return None
    start = write.event["offset"]
    end = start + len(write.event["data"])
    if start <= offset and offset + size_bytes <= end:
        return None
    kernel = dispatch.event["kernel"]
    return Told(
        sentence=(
            f"a dispatch of {kernel} bound its uniforms at byte {offset} of uniform buffer "
            f"{number} (call {dispatch.number}), but the payloads of its batch were written at "
            f"bytes {start} to {end - 1} (call {write.number})"
        ),
        rule=laws.B1,
        facts=(
            f"after a submit the payloads began anew at byte {start}, but the dispatch kept the "
            "offset of another place in the ring",
        ),
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
