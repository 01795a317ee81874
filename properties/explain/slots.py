"""Uniform memory that is used again too early: the payloads written since the last submit.

A pool has so many slots, and a ring so many bytes.  When they are used up, a submit must come
before they are used again.  A payload must also stand where its dispatch binds it.
"""

from collections.abc import Iterator

from gpusim.runtime.policy import Uniforms
from properties.explain.calls import Call, calls
from properties.explain.clocks import Traced
from properties.explain.told import NOTHING, Told
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import UNIFORM

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
    """The writes of uniforms between two submits, for each two."""
    taken: list[Call] = []
    for call in calls(verdict.execution.trace):
        if call.event.kind == "submit":
            yield taken
            taken = []
        elif call.event.kind == "write_buffer" and call.event["role"] == UNIFORM:
            taken.append(call)


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
