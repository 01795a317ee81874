"""The payloads of a batch, followed from the call that wrote them: uniforms, and staged bytes.

A payload is written by the queue, which acts at once.  So the payload must stand in its buffer
before its batch is submitted, and nothing may be written over it until then.  A trace shows each
write, and so whether a payload was written over, never written, or written with other bytes.
"""

from collections.abc import Iterator
from contextlib import suppress
from math import prod

from gpusim.errors import InvalidScalar
from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.ops import AnyDispatch, Dispatch, Op
from gpusim.runtime.commands import UNKNOWN_GROUPS, Role
from gpusim.runtime.policy import Uniforms
from gpusim.text import write_op
from gpusim.trace import Event
from properties.explain.calls import Call, calls
from properties.explain.clocks import Fed, Traced
from properties.explain.experiments import shown_by
from properties.explain.hypothesis import named
from properties.explain.scene import Scene, Step, place_of
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import UNIFORM
from properties.oracles.laws.order import UNASKED

UPLOAD = Role.UPLOAD.value
_ROLES = (UNIFORM, UPLOAD)
_KINDS = (FailureKind.VALUE, FailureKind.LAW, FailureKind.ERROR)
_BY_SLOT = (laws.B1.name, laws.B3.name)
_MOST_SHOWN = 16
OURS = (PATCH_WORDS, COPY_BYTES)
"""The kernels with which the runtime writes and copies odd bytes."""


def tell_payloads(verdict: Verdict, failure: Failure, guess: str, traced: Traced) -> Told:
    """Tells of a payload that was written over, never written, or written wrongly.

    ``guess``: the law that is broken, as far as the bytes show.  If that law is about the place of
    bytes, what the calls show counts more.
    """
    if failure.kind not in _KINDS or traced.broken is None:
        return NOTHING
    over = _written_over(verdict)
    if over is not None:
        return _told_over(verdict, *over, guess)
    stale = _unwritten(verdict)
    if stale is not None and not _is_unasked(stale[0], traced.broken):
        return _kept_payloads(*stale)
    if traced.fed and traced.broken.trait in _BY_SLOT:
        places = _places(verdict, traced.fed[0])
        if places:
            return Told(facts=places)
    fed = _misfed(verdict, traced)
    if fed.sentence and guess == laws.B1.name and failure.kind is not FailureKind.LAW:
        return Told(facts=fed.facts)
    if fed.sentence:
        return fed
    return _staged_before(verdict)


def _written_over(verdict: Verdict) -> tuple[Call, Call, Call | None] | None:
    """The call that wrote a payload, a call of another op that wrote over it, and the next submit.

    No submit came between the first two calls.
    """
    waiting: list[Call] = []
    pair: tuple[Call, Call] | None = None
    for call in calls(verdict.execution.trace):
        if call.event.kind == "submit" or call.failed:
            if pair is not None:
                return (*pair, None if call.failed else call)
            waiting = []
        elif call.event.kind == "write_buffer" and call.event["role"] in _ROLES and pair is None:
            first = next((each for each in waiting if _is_over(each, call)), None)
            pair = None if first is None else (first, call)
            waiting.append(call)
    return None if pair is None else (*pair, None)


def _is_over(one: Call, other: Call) -> bool:
    if one.event["buffer"] != other.event["buffer"] or one.position == other.position:
        return False
    (start, end), (low, high) = bounds(one.event), bounds(other.event)
    return bool(start < high and low < end)


def bounds(write: Event) -> tuple[int, int]:
    """The first byte that a call wrote, and the one after the last."""
    return write["offset"], write["offset"] + len(write["data"])


def _bytes_of(write: Call) -> str:
    start, end = bounds(write.event)
    return f"bytes {start} to {end - 1} of {write.event['role']} buffer {write.event['buffer']}"


def _told_over(verdict: Verdict, first: Call, again: Call, submit: Call | None, guess: str) -> Told:
    until = f"the submit, which is call {submit.number}" if submit is not None else "any submit"
    is_uniform, policy = first.event["role"] == UNIFORM, verdict.execution.case.policy
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
    law = f"B3 is broken first, at call {again.number}, and what follows comes of it"
    if not is_uniform or guess != laws.A8.name:
        return Told(facts=(fact,))
    sentence = (
        f"the {what} of {first.place} were written over in {again.place}, before the submit of "
        f"op {first.position}"
    )
    return Told(
        sentence=sentence,
        culprit=first.position,
        rule=laws.B3,
        facts=(fact,),
        law=law,
    )


def _named(call: Call) -> str:
    return call.place.partition(" (")[0]


def _is_unasked(dispatch: Call, broken: Failure) -> bool:
    """Whether no op asked for a dispatch, so that it has no payload of its own.

    If a dispatch of a kernel for odd bytes has an old payload, it also looks as if nobody had asked
    for it.  So such a dispatch does not count.
    """
    is_ours = dispatch.event["kernel"] in (each.name for each in OURS)
    return not is_ours and UNASKED in " ".join(broken.notes)


def _unwritten(verdict: Verdict) -> tuple[Call, Call, Call | None] | None:
    """Finds a dispatch whose uniforms were last written for an earlier batch.

    Gives also the call that wrote them, and the call that made the dispatch's bind group.
    """
    if verdict.execution.case.policy.uniforms is Uniforms.CACHED:
        # A cache has one buffer for all equal payloads, so it may be written for an earlier batch.
        return None
    written: dict[int, Call] = {}
    used: set[int] = set()
    bound: list[Call] = []
    groups: dict[int, Call] = {}
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "write_buffer" and event["role"] == UNIFORM:
            written[event["buffer"]] = call
            used.discard(event["buffer"])
        elif event.kind == "create_bind_group":
            groups[event["group"]] = call
        elif event.kind == "dispatch":
            bound.append(call)
        elif event.kind == "submit" or call.failed:
            stale = [each for each in bound if each.event["ranges"][-1][0] in used]
            if stale and not call.failed:
                first = stale[0].event
                return stale[0], written[first["ranges"][-1][0]], groups.get(first["group"])
            used |= {each.event["ranges"][-1][0] for each in bound} & written.keys()
            bound = []
    return None


def _kept_payloads(dispatch: Call, before: Call, group: Call | None) -> Told:
    number, start, size = dispatch.event["ranges"][-1]
    own = group if group is not None and group.position > before.position else dispatch
    whose = own.place if own is group else f"the batch of {own.place}"
    sentence = (
        f"the uniforms of {whose} were not written: its dispatch of call {dispatch.number} bound "
        f"uniform buffer {number}, which was written last at call {before.number} in "
        f"{before.place}, for an earlier batch"
    )
    held = before.event["data"][start - before.event["offset"] :][:size].hex()
    fact = (
        f"call {dispatch.number} ran with the payload of {before.place}, {held}, not with its own"
    )
    return Told(sentence=sentence, culprit=own.position, rule=laws.B1, facts=(fact,))


def _misfed(verdict: Verdict, traced: Traced) -> Told:
    """Tells of a payload that was written only once, and with other scalars than its call has."""
    broken = traced.broken
    if not traced.fed or broken is None or broken.trait not in _BY_SLOT:
        return NOTHING
    fed = traced.fed[0]
    recorded = traced.of(fed.position)
    writes = [call for call in _writes_of(verdict, fed) if call.number < fed.submit]
    since = [each for each in writes if recorded and each.number >= recorded.recorded]
    words = [n for n in range(0, len(fed.meant), 4) if fed.meant[n : n + 4] != fed.held[n : n + 4]]
    if len(since) != 1 or not words:
        return NOTHING
    low = words[0]
    meant, held = (each[low : low + 4].hex() for each in (fed.meant, fed.held))
    op = f"op {fed.position} ({write_op(verdict.execution.case.program[fed.position])})"
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


def _writes_of(verdict: Verdict, fed: Fed) -> Iterator[Call]:
    """The calls that wrote any byte of the slot of ``fed``."""
    number, start, size = fed.slot
    for call in calls(verdict.execution.trace):
        if call.event.kind == "write_buffer" and call.event["buffer"] == number:
            low, high = bounds(call.event)
            if low < start + size and start < high:
                yield call


def _places(verdict: Verdict, fed: Fed) -> tuple[str, ...]:
    """Whose payload the slot of a dispatch held, and where the dispatch's own was written.

    Empty if the slot held no payload of the program, and the dispatch's own was written nowhere.
    """
    number, offset, size_bytes = fed.slot
    scene = shown_by(verdict).scene
    own = next(step for step in scene.steps if place_of(step) == (fed.position, fed.command))
    owner, written = _owner(fed, scene), next(_written(verdict, fed), None)
    if owner is None and written is None:
        return ()
    whose = f", the payload of {named(owner)}" if owner is not None else ""
    held = (
        f"{named(own)} bound bytes {offset} to {offset + size_bytes - 1} of uniform buffer "
        f"{number}; at its submit (call {fed.submit}) they held {_hex(fed.held)}{whose}"
    )
    payload = f"its own payload {_hex(fed.meant)}"
    if written is None:
        return held, f"no call wrote {payload}"
    if not any(_writes_of(verdict, fed)):
        made = [
            call
            for call in calls(verdict.execution.trace)
            if call.event.kind == "write_buffer" and call.event["buffer"] == number
        ]
        last = f": call {made[-1].number} wrote {_bytes_of(made[-1])}" if made else ""
        return held, f"no call ever wrote those bytes{last}"
    call, start = written
    late = "only " if call.number > fed.submit else ""
    return (
        held,
        f"{payload} was written {late}at call {call.number}, in {call.place}, to bytes {start} to "
        f"{start + len(fed.meant) - 1} of uniform buffer {call.event['buffer']}",
    )


def _owner(fed: Fed, scene: Scene) -> Step | None:
    """The dispatch whose payload the slot held: the last before the wrong one, or else the next."""
    own = fed.position, fed.command
    before: Step | None = None
    for step in scene.steps:
        is_before = place_of(step) < own
        if not is_before and before is not None:
            return before
        if place_of(step) != own and _payload(step.op, scene) == fed.held:
            if not is_before:
                return step
            before = step
    return before


def _payload(op: Op, scene: Scene) -> bytes:
    """The uniform bytes of a dispatch; empty for other ops."""
    if not isinstance(op, AnyDispatch):
        return b""
    groups = prod(op.grid) if isinstance(op, Dispatch) else UNKNOWN_GROUPS
    with suppress(InvalidScalar):
        return scene.kernels[op.kernel].pack(op.scalars, groups)
    return b""


def _written(verdict: Verdict, fed: Fed) -> Iterator[tuple[Call, int]]:
    """The calls that wrote the dispatch's own payload after its op began, each with the offset."""
    for call in calls(verdict.execution.trace):
        event = call.event
        is_late = call.position >= fed.position or call.position < 0
        if event.kind == "write_buffer" and event["role"] == UNIFORM and is_late:
            at = bytes(event["data"]).find(fed.meant)
            if at >= 0:
                yield call, event["offset"] + at


def _hex(data: bytes) -> str:
    return data[:_MOST_SHOWN].hex() + ("..." if len(data) > _MOST_SHOWN else "")


def _staged_before(verdict: Verdict) -> Told:
    """Tells of a copy of staged bytes that were written last for an earlier batch."""
    written: dict[int, Call] = {}
    used: set[int] = set()
    taken: list[Call] = []
    for call in calls(verdict.execution.trace):
        event = call.event
        if event.kind == "write_buffer" and event["role"] == UPLOAD:
            written[event["buffer"]] = call
            used.discard(event["buffer"])
        elif event.kind == "copy" and event["source"] in written:
            taken.append(call)
        elif event.kind == "submit":
            stale = [each for each in taken if each.event["source"] in used]
            if stale and not call.failed:
                number = stale[0].event["source"]
                before = written[number]
                fact = (
                    f"no call wrote the bytes that the copy of call {stale[0].number} takes from "
                    f"upload buffer {number}: they were written last at call {before.number}, in "
                    f"{before.place}, for an earlier batch"
                )
                return Told(facts=(fact,))
            used |= {each.event["source"] for each in taken}
            taken = []
    return NOTHING
