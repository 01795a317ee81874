"""Uniform slots: pools and rings that are used again too early, grow wrongly, or are bound wrongly.

A pool has a number of slots, and a ring a number of bytes.  When all are used, a submit must come
before any is used again.  A payload must also stand where its dispatch binds it.
"""

from collections.abc import Iterable

from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.runtime.policy import Uniforms
from gpusim.trace import Event
from properties.explain.batches import batches, writes_apart
from properties.explain.calls import Call
from properties.explain.lives import Life, lives
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import UNIFORM
from properties.oracles.laws.order import UNASKED

OURS = {kernel.name: kernel for kernel in (PATCH_WORDS, COPY_BYTES)}
"""The kernels with which the runtime writes and copies odd bytes."""
_EIGHT = "dispatch affine x 3,1 1x1x1\n"
_FILLED_POOL = f"alloc x 64\n{_EIGHT * 3}flush\n"
_LAST = {
    4: "dispatch tally x 5 1x1x1\n",
    8: "dispatch affine x 5,1 1x1x1\n",
    48: "dispatch many x 1,2,3,4,5,6,7,8,9,10,11,12 1x1x1\n",
}
"""For each size of payload, in bytes, a dispatch that has it."""
_ENDS = ("encode", "submit")
_OF_POOLS = (laws.B1.name, laws.E6.name)


def bounds(write: Event) -> tuple[int, int]:
    """The first byte that a call wrote, and the one after the last."""
    return write["offset"], write["offset"] + len(write["data"])


def tell_pool(evidence: Evidence) -> Told:
    """Tells if the pool of uniform slots was full, and used a slot again without a submit."""
    policy = evidence.case.policy
    if policy.uniforms is not Uniforms.POOLED or evidence.broken not in _OF_POOLS:
        return NOTHING
    count = policy.uniform_slots
    for taken in writes_apart(evidence.trace, UNIFORM):
        if len(taken) > count:
            at = ", ".join(f"{call.place.partition(' (')[0]} at {call.number}" for call in taken)
            return Told(
                sentence=f"the pool of {count} uniform slots was full at {taken[count].place}, "
                f"with {taken[0].place} still waiting, and no submit came before its slots were "
                "used again",
                culprit=taken[count].position,
                facts=(
                    f"uniform payloads since the last submit, each with its call: {at}",
                    f"so {evidence.said}",
                ),
            )
    return NOTHING


def tell_offset(evidence: Evidence) -> Told:
    """Tells of a dispatch that binds uniforms where no payload of its batch was written.

    Told only if its batch was refused, or if its kernel is for odd bytes and no op asked for it.
    """
    is_asked = evidence.failure.kind in (FailureKind.ERROR, FailureKind.LATE_ERROR)
    if evidence.case.policy.uniforms is Uniforms.CACHED and not is_asked:
        # Equal payloads share a slot of the cache, so an earlier batch may have written the slot.
        return NOTHING
    refused = (c for c in evidence.calls() if c.failed and c.event["verb"] in ("encode", "submit"))
    at = next((call.number for call in refused), -1) if is_asked else -1
    if at < 0 and UNASKED in evidence.said:
        at = evidence.traced.broken_at
    made = [each for each in batches(evidence.trace) if each.begun.number < at]
    found = lives(call for call in evidence.calls() if call.number < at)
    for dispatch in made[-1].commands if made else ():
        slot = found[dispatch.event["ranges"][-1][0]] if dispatch.event.kind == "dispatch" else None
        if slot is None or not (is_asked or dispatch.event["kernel"] in OURS):
            continue
        said = _cut(evidence, dispatch, slot) or _astray(dispatch, slot.of("write_buffer"))
        if said:
            return said
    return NOTHING


def _cut(evidence: Evidence, dispatch: Call, slot: Life) -> Told:
    """Tells of a payload that was only partly written, because its slot has no room for all."""
    number, _, size_bytes = dispatch.event["ranges"][-1]
    name, kernels = dispatch.event["kernel"], {**evidence.verdict.execution.kernels, **OURS}
    wanted = kernels[name].uniform_bytes if name in kernels else 0
    made, writes = slot.made, slot.of("write_buffer")
    if not writes or slot.role != UNIFORM or size_bytes >= wanted:
        return NOTHING
    write = writes[-1]
    return Told(
        sentence=(
            f"{write.place} was given uniform buffer {number}, of {made.event['size_bytes']} "
            f"bytes, for a payload of {wanted} bytes: call {write.number} wrote "
            f"{len(write.event['data'])} bytes of it, and its dispatch of {name} bound "
            f"{size_bytes} bytes"
        ),
        culprit=write.position,
        rule=laws.B6,
        facts=(
            f"{made.place} made that buffer (call {made.number}); a slot of a pool may be used "
            "again only for a payload that it has room for",
        ),
    )


def _astray(dispatch: Call, written: list[Call]) -> Told:
    """Tells of a dispatch whose uniforms are not within the last payloads that were written."""
    number, offset, size_bytes = dispatch.event["ranges"][-1]
    if not written or written[-1].event["role"] != UNIFORM:
        return NOTHING
    *before, write = written
    start, end = bounds(write.event)
    if start <= offset and offset + size_bytes <= end:
        return NOTHING
    low, high = bounds(before[-1].event) if before else (offset + 1, 0)
    facts: tuple[str, ...] = ()
    if not start:
        facts = (
            f"after a submit the payloads began anew at byte {start}, but the dispatch kept the "
            "offset of another place in the ring",
        )
    elif low <= offset:
        facts = (
            f"call {before[-1].number} wrote the payloads of the batch before to bytes {low} to "
            f"{high - 1}; the next ones were written behind those, and the dispatch's offset "
            f"counts as if they began at byte {low}",
        )
    return Told(
        sentence=(
            f"a dispatch of {dispatch.event['kernel']} bound its uniforms at byte {offset} of "
            f"uniform buffer {number} (call {dispatch.number}), but the payloads of its batch were "
            f"written at bytes {start} to {end - 1} (call {write.number}, in {write.place})"
        ),
        rule=laws.B1,
        facts=facts,
    )


def tell_grown(evidence: Evidence) -> Told:
    """The uniform buffers that one op destroyed, and those that it made in their place."""
    if evidence.broken != laws.E6.name:
        return NOTHING
    pool = [life for life in lives(evidence.calls()).values() if life.role == UNIFORM]
    for position in sorted({life.made.position for life in pool} - {-1}):
        gone = [(life, life.gone) for life in pool if life.gone is not None]
        lost = [(life, call.number) for life, call in gone if call.position == position]
        new = [life for life in pool if life.made.position == position]
        if lost:
            first = min(number for _, number in lost)
            held = sum(life.is_alive(first) for life in pool)
            return told(
                f"op {position} destroyed uniform buffers of {_sizes(life for life, _ in lost)} "
                f"bytes, and made some of {_sizes(new)} bytes"
                f"{'; no older one was left' if held == len(lost) else ''}"
            )
    return NOTHING


def _sizes(pool: Iterable[Life]) -> str:
    return ", ".join(map(str, sorted(life.made.event["size_bytes"] for life in pool)))


@by_trial(follows_policy=True, without_faults=True)
def tell_sizes(evidence: Evidence, trials: Trials) -> Told:
    """Fills a pool in one batch, and tells with which sizes of payload the next one goes wrong."""
    if evidence.broken != laws.E6.name:
        return NOTHING
    programs = {size: f"{_FILLED_POOL}{_EIGHT}{last}" for size, last in _LAST.items()}
    wrong, right = trials.apart(programs)
    if not wrong or not right:
        return NOTHING
    return told(
        f"under uniforms={evidence.case.policy.uniforms}, after a batch with payloads of 8, 8 and "
        f"8 bytes: a second batch, with 8 and then {' or '.join(map(str, wrong))} bytes, goes "
        f"wrong; with 8 and then {' or '.join(map(str, right))} bytes it does not"
    )
