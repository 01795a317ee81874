"""The payloads of a batch, followed from the call that wrote them: uniforms, and staged bytes.

A payload is written by the queue, which acts at once.  So the payload must stand in its buffer
before its batch is submitted, and nothing may be written over it until then.  A trace shows each
write, and so whether a payload was written over, never written, or written with other bytes.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import prod

from gpusim.errors import InvalidScalar
from gpusim.ops import AnyDispatch, Dispatch, Op
from gpusim.runtime.commands import UNKNOWN_GROUPS, Role
from gpusim.runtime.policy import Uniforms
from properties.explain.batches import submitted
from properties.explain.calls import Call
from properties.explain.clocks import Fed
from properties.explain.experiments import shown_by
from properties.explain.hypothesis import named
from properties.explain.lives import lives
from properties.explain.scene import Scene, Step, place_of
from properties.explain.slots import OURS, bounds
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import UNIFORM
from properties.oracles.laws.order import UNASKED

UPLOAD = Role.UPLOAD.value
_ROLES = (UNIFORM, UPLOAD)
_KINDS = (FailureKind.VALUE, FailureKind.LAW, FailureKind.ERROR)
_BY_SLOT = (laws.B1.name, laws.B3.name)
_MOST_SHOWN = 16


def tell_payloads(evidence: Evidence) -> Told:
    """Tells of a payload that was written over, never written, or written wrongly.

    The argument's rule is a guess from the wrong bytes.  If it is law A8, and the calls show that
    uniforms were written over, what the calls show replaces the guess.
    """
    rule = evidence.argument.rule
    guess = rule.name if rule is not None else ""
    if evidence.failure.kind not in _KINDS or not evidence.broken:
        return NOTHING
    said = _written_over(evidence, guess) or _unwritten(evidence)
    for fed in evidence.traced.fed[:1] if evidence.broken in _BY_SLOT and not said else ():
        said = _places(evidence, fed) or _misfed(evidence, fed)
        if guess == laws.B1.name and evidence.failure.kind is not FailureKind.LAW:
            said = told(*said.facts)
    return said or _staged_before(evidence)


def _written_over(evidence: Evidence, guess: str) -> Told:
    """Finds a payload that another op wrote over, with no submit between the two writes."""
    waiting: list[Call] = []
    pair: tuple[Call, Call] | None = None
    for call in evidence.calls():
        if call.event.kind == "submit" or call.failed:
            if pair is not None:
                until = "any submit" if call.failed else f"the submit, which is call {call.number}"
                return _told_over(evidence, *pair, until, guess)
            waiting = []
        elif call.event.kind == "write_buffer" and call.event["role"] in _ROLES and pair is None:
            first = next((each for each in waiting if _is_over(each, call)), None)
            pair = None if first is None else (first, call)
            waiting.append(call)
    return NOTHING if pair is None else _told_over(evidence, *pair, "any submit", guess)


def _is_over(one: Call, other: Call) -> bool:
    if one.event["buffer"] != other.event["buffer"] or one.position == other.position:
        return False
    (start, end), (low, high) = bounds(one.event), bounds(other.event)
    return start < high and low < end


def _bytes_of(write: Call) -> str:
    start, end = bounds(write.event)
    return f"bytes {start} to {end - 1} of {write.event['role']} buffer {write.event['buffer']}"


def _told_over(evidence: Evidence, first: Call, again: Call, until: str, guess: str) -> Told:
    is_uniform, policy = first.event["role"] == UNIFORM, evidence.case.policy
    what = "scalars" if is_uniform else "staged bytes"
    fact = (
        f"the {what} of {_named(first)} went to the queue in {_named(first)} itself (call "
        f"{first.number}), to {_bytes_of(first)}; call {again.number}, in {_named(again)}, wrote "
        f"over them before {until}"
    )
    if is_uniform and policy.uniforms is Uniforms.CACHED:
        fact += f"; uniform_cache={policy.uniform_cache}"
    elif is_uniform and policy.uniforms is Uniforms.POOLED:
        fact += f", with uniform_slots={policy.uniform_slots}"
    if not is_uniform or guess != laws.A8.name:
        return told(fact)
    return Told(
        sentence=f"the {what} of {first.place} were written over in {again.place}, before the "
        f"submit of op {first.position}",
        culprit=first.position,
        rule=laws.B3,
        facts=(fact,),
        law=f"B3 is broken first, at call {again.number}, and what follows comes of it",
    )


def _named(call: Call) -> str:
    return call.place.partition(" (")[0]


def _unwritten(evidence: Evidence) -> Told:
    """Finds a dispatch whose uniforms were last written for an earlier batch."""
    if evidence.case.policy.uniforms is Uniforms.CACHED:
        # A cache has one buffer for all equal payloads, so it may be written for an earlier batch.
        return NOTHING
    for dispatch, before in _stale(evidence, "dispatch", _slot):
        if dispatch.event["kernel"] in OURS or UNASKED not in evidence.said:
            group = lives(evidence.calls())[dispatch.event["group"]].made
            return _kept_payload(dispatch, before, group)
        # No op asked for the dispatch, so it has no payload of its own.
        return NOTHING
    return NOTHING


def _stale(
    evidence: Evidence, kind: str, source: Callable[[Call], int]
) -> Iterator[tuple[Call, Call]]:
    """Commands whose ``source`` was last written for a batch that was submitted before theirs.

    Each command with that write.
    """
    found = lives(evidence.calls())
    for batch, submit in submitted(evidence.trace):
        for command in batch.commands:
            if command.event.kind != kind:
                continue
            life = found[source(command)]
            writes = [call for call in life.of("write_buffer") if call.number < submit.number]
            used = [call for call in life.of(kind) if call.number < batch.begun.number]
            if (
                writes
                and life.role in _ROLES
                and any(writes[-1].number < call.number for call in used)
            ):
                yield command, writes[-1]


def _slot(dispatch: Call) -> int:
    """The buffer of the uniforms of a dispatch, which is the last that it binds."""
    return int(dispatch.event["ranges"][-1][0])


def _kept_payload(dispatch: Call, before: Call, group: Call | None) -> Told:
    number, start, size = dispatch.event["ranges"][-1]
    own = group if group is not None and group.position > before.position else dispatch
    whose = own.place if own is group else f"the batch of {own.place}"
    held = before.event["data"][start - before.event["offset"] :][:size].hex()
    return Told(
        sentence=f"the uniforms of {whose} were not written: its dispatch of call "
        f"{dispatch.number} bound uniform buffer {number}, which was written last at call "
        f"{before.number} in {before.place}, for an earlier batch",
        culprit=own.position,
        rule=laws.B1,
        facts=(
            f"call {dispatch.number} ran with the payload of {before.place}, {held}, not with its "
            "own",
        ),
    )


def _misfed(evidence: Evidence, fed: Fed) -> Told:
    """Tells of a payload that was written only once, with other bytes than its op asks for."""
    recorded = evidence.traced.of(fed.position)
    writes = [call for call in _writes_of(evidence, fed) if call.number < fed.submit]
    since = [each for each in writes if recorded and each.number >= recorded.recorded]
    words = [n for n in range(0, len(fed.meant), 4) if fed.meant[n : n + 4] != fed.held[n : n + 4]]
    if len(since) != 1 or not words:
        return NOTHING
    low = words[0]
    meant, held = (each[low : low + 4].hex() for each in (fed.meant, fed.held))
    op = evidence.place(fed.position)
    place = f"command {fed.command} of {op}" if fed.command >= 0 else op
    more = f", and {len(words) - 1} words more are wrong" if len(words) > 1 else ""
    name, value = fed.scalars[low // 4] if low // 4 < len(fed.scalars) else ("", "")
    whose = f"its scalar {name}, {value}, as {held}" if name else f"{held} in its payload"
    return Told(
        sentence=f"{place} was given {whose}, and not as {meant}{more}",
        culprit=fed.position,
        rule=laws.B1,
        facts=(
            f"bytes {low} to {low + 3} of the payload of {place.partition(' (')[0]} are to be "
            f"{meant}; call {since[0].number} wrote {held} there, and nothing was written over it",
        ),
        law=f"B1 is broken first, at call {fed.submit}",
    )


def _writes_of(evidence: Evidence, fed: Fed) -> Iterator[Call]:
    """The calls that wrote any byte of the slot of ``fed``."""
    number, start, size = fed.slot
    for call in evidence.calls("write_buffer"):
        low, high = bounds(call.event)
        if call.event["buffer"] == number and low < start + size and start < high:
            yield call


def _places(evidence: Evidence, fed: Fed) -> Told:
    """Tells whose payload the slot of a dispatch held, and where its own payload was written.

    NOTHING if the slot held no payload of the program, and the dispatch's own was written nowhere.
    """
    number, offset, size_bytes = fed.slot
    scene = shown_by(evidence.verdict).scene
    own = next(step for step in scene.steps if place_of(step) == (fed.position, fed.command))
    owner, written = _owner(fed, scene), next(_written(evidence, fed), None)
    if owner is None and written is None:
        return NOTHING
    whose = f", the payload of {named(owner)}" if owner is not None else ""
    held = (
        f"{named(own)} bound bytes {offset} to {offset + size_bytes - 1} of uniform buffer "
        f"{number}; at its submit (call {fed.submit}) they held {_hex(fed.held)}{whose}"
    )
    payload = f"its own payload {_hex(fed.meant)}"
    if written is None:
        return told(held, f"no call wrote {payload}")
    if not any(_writes_of(evidence, fed)):
        made = [each for each in evidence.calls("write_buffer") if each.event["buffer"] == number]
        last = f": call {made[-1].number} wrote {_bytes_of(made[-1])}" if made else ""
        return told(held, f"no call ever wrote those bytes{last}")
    call, start = written
    late = "only " if call.number > fed.submit else ""
    return told(
        held,
        f"{payload} was written {late}at call {call.number}, in {call.place}, to bytes {start} to "
        f"{start + len(fed.meant) - 1} of uniform buffer {call.event['buffer']}",
    )


def _owner(fed: Fed, scene: Scene) -> Step | None:
    """The dispatch whose payload the slot held: the last before the wrong one, or else the next."""
    own = fed.position, fed.command
    alike = [step for step in scene.steps if _payload(step.op, scene) == fed.held]
    before = [step for step in alike if place_of(step) < own]
    after = [step for step in alike if place_of(step) > own]
    return next(iter((*before[-1:], *after)), None)


def _payload(op: Op, scene: Scene) -> bytes:
    """The uniform bytes of a dispatch; empty for other ops."""
    if not isinstance(op, AnyDispatch):
        return b""
    groups = prod(op.grid) if isinstance(op, Dispatch) else UNKNOWN_GROUPS
    with suppress(InvalidScalar):
        return scene.kernels[op.kernel].pack(op.scalars, groups)
    return b""


def _written(evidence: Evidence, fed: Fed) -> Iterator[tuple[Call, int]]:
    """The calls that wrote the dispatch's own payload after its op began, each with the offset."""
    for call in evidence.calls("write_buffer", role=UNIFORM):
        at = bytes(call.event["data"]).find(fed.meant)
        if at >= 0 and (call.position >= fed.position or call.position < 0):
            yield call, call.event["offset"] + at


def _hex(data: bytes) -> str:
    return data[:_MOST_SHOWN].hex() + ("..." if len(data) > _MOST_SHOWN else "")


def _staged_before(evidence: Evidence) -> Told:
    """Tells of a copy of staged bytes that were written last for an earlier batch."""
    for copy, before in _stale(evidence, "copy", lambda call: int(call.event["source"])):
        number = copy.event["source"]
        return told(
            f"no call wrote the bytes that the copy of call {copy.number} takes from upload buffer "
            f"{number}: they were written last at call {before.number}, in {before.place}, for an "
            "earlier batch"
        )
    return NOTHING
