"""Memory of payloads that is used again too early: uniforms, and the bytes of staged writes.

A pool has a number of slots, and a ring a number of bytes.  When all are used, a submit must come
before any is used again.  A payload must also stand where its dispatch binds it.  The staged
writes of a batch each have a place of their own in an upload buffer.
"""

from collections.abc import Iterator

from gpusim.runtime.policy import Uniforms
from gpusim.trace import Event
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STAGING, UNIFORM

_UPLOAD = "upload"
_OF_BYTES = (laws.A8.name, laws.A9.name)
_OF_POOLS = (laws.B1.name, laws.E6.name)


def tell_pool(verdict: Verdict, traced: Traced) -> Told:
    """Whether the pool of uniform slots began anew without a submit."""
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
    """The writes of uniforms before each submit and after the one before it."""
    taken: list[Call] = []
    for call in calls(verdict.execution.trace):
        if call.event.kind == "submit":
            yield taken
            taken = []
        elif call.event.kind == "write_buffer" and call.event["role"] == UNIFORM:
            taken.append(call)


def tell_unwritten(verdict: Verdict, failure: Failure) -> Told:
    """A batch whose dispatches bind a ring that was not written for it."""
    is_ring = verdict.execution.case.policy.uniforms is Uniforms.RING
    if not is_ring or failure.kind not in (FailureKind.VALUE, FailureKind.LAW):
        return NOTHING
    written: dict[int, Call] = {}
    fresh: set[int] = set()
    bound: list[Call] = []
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "write_buffer" and event["role"] == UNIFORM:
            written[event["buffer"]] = call
            fresh.add(event["buffer"])
        elif event.kind == "dispatch":
            bound.append(call)
        elif event.kind == "submit":
            stale = [
                each for each in bound if each.event["ranges"][-1][0] in written.keys() - fresh
            ]
            if stale:
                return _kept_payloads(stale[0], written)
            bound, fresh = [], set()
    return NOTHING


def _kept_payloads(dispatch: Call, written: dict[int, Call]) -> Told:
    number = dispatch.event["ranges"][-1][0]
    before = written[number]
    sentence = (
        f"the uniforms of the batch of {dispatch.place} were not written: its dispatch of call "
        f"{dispatch.number} bound uniform buffer {number}, which was written last at call "
        f"{before.number} in {before.place}, for an earlier batch"
    )
    fact = f"so it ran with the payload of {before.place}, and with none of its own"
    return Told(sentence=sentence, culprit=dispatch.position, rule=laws.B1, facts=(fact,))


def tell_offset(verdict: Verdict) -> Told:
    """A dispatch of a refused batch that binds uniforms where no payload was written."""
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
            f"{number} (call {dispatch.number}), and the payloads of its batch were written at "
            f"bytes {start} to {end - 1} (call {write.number})"
        ),
        rule=laws.B1,
        facts=(
            f"its batch began anew at byte {start} after a submit, and the offset of the dispatch "
            "did not: it is that of another place in the ring",
        ),
    )


def tell_staged(verdict: Verdict, traced: Traced) -> Told:
    """Two staged writes of one batch that are copied from the same bytes of an upload buffer."""
    if traced.broken is None or traced.broken.trait not in _OF_BYTES:
        return NOTHING
    uploads: set[int] = set()
    taken: list[Call] = []
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "create_buffer" and event["role"] == _UPLOAD:
            uploads.add(event["buffer"])
        elif event.kind == "encode":
            taken = []
        elif event.kind == "copy" and event["source"] in uploads:
            same = [each for each in taken if _overlap(each.event, event)]
            if same:
                start, size = event["source_offset"], event["size_bytes"]
                fact = (
                    f"the copies of calls {same[0].number} and {call.number} carry out two staged "
                    f"writes, and both take bytes {start} to {start + size - 1} of upload buffer "
                    f"{event['source']}: the payloads of one batch share a place"
                )
                return Told(facts=(fact,))
            taken.append(call)
    return NOTHING


def _overlap(one: Event, other: Event) -> bool:
    starts, sizes = (
        [each[name] for each in (one, other)] for name in ("source_offset", "size_bytes")
    )
    if one["source"] != other["source"]:
        return False
    return bool(starts[0] < starts[1] + sizes[1] and starts[1] < starts[0] + sizes[0])


def tell_destroyed(verdict: Verdict, traced: Traced) -> Told:
    """The staging buffer that was destroyed under its map, and how many there were."""
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
                    f"had made and mapped; there were {len(alive)}, with staging_buffers={kept}"
                )
                return Told(facts=(fact,))
            del alive[event["buffer"]]
    return NOTHING
