"""Two runtimes on one device: which one used or destroyed an object of the other.

Each runtime makes its own buffers and bind groups, and must not touch those of the other runtime.
Their kernels may share names, but each kernel has a pipeline of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.kernels import Kernel
from gpusim.ops import Capture
from gpusim.runtime.commands import Role
from gpusim.trace import Event
from properties.clients import BESIDE
from properties.clients.passed import does, passed
from properties.explain import rules
from properties.explain.calls import Call
from properties.explain.lives import lives, named_by
from properties.explain.told import Told
from properties.explain.trials import Evidence
from properties.model.failure import Failure
from properties.oracles.judge import Verdict, is_beside
from properties.oracles.laws.expected import UNIFORM
from properties.targets.twins import twin_name
from reference import run

_OWN, _OTHER = "the runtime of the program", "the runtime beside"
_MOST_CALLS = 3
_USES = {
    "create_bind_group": "bound",
    "write_buffer": "wrote to",
    "copy": "copied from or to",
    "dispatch": "bound",
    "destroy_buffer": "destroyed",
    "map": "mapped",
    "take": "took bytes from",
}


def tell_together(evidence: Evidence) -> Told:
    """What one of two runtimes did to an object of the other; or what the client did."""
    return _of_client(evidence) if evidence.verdict.execution.beside is None else _beside(evidence)


def _beside(evidence: Evidence) -> Told:
    beside = f"client {BESIDE}: it {does(BESIDE)}, in part with other kernels of the same names"
    crossed = [*_crossed(evidence)]
    if not crossed:
        swapped = _swapped(evidence.verdict, evidence.failure)
        if not swapped:
            return Told(later=(beside,))
        return Told(sentence=swapped, rule=rules.DATA_ALONE, facts=(beside,))
    made, call, number = crossed[0]
    role, used = _role(made.event), [call for _, call, _ in crossed]
    more = f"{len(used)} calls of one runtime use objects of the other: {_calls_of(used)}"
    return Told(
        sentence=(
            f"{_who(call)} {_USES[call.event.kind]} {role} {number} (call {call.number}"
            f"{_in(call)}), which {_who(made)} had made (call {made.number}{_in(made)})"
        ),
        culprit=max(call.position, made.position),
        rule=rules.DATA_ALONE,
        facts=(
            *_staged(evidence, call, number),
            *_destroyed(evidence, made, call, number),
            *([more] if len(used) > 1 else []),
            *_kept(evidence.verdict, made),
            beside,
        ),
    )


def _of_client(evidence: Evidence) -> Told:
    """What the client does, and in which form it passed the arguments of the op to blame."""
    argument, case = evidence.argument, evidence.case
    is_read = argument.culprit == evidence.at and bool(argument.bytes)
    culprit = argument.bytes[0].writer if is_read else argument.culprit
    facts: list[str] = []
    if 0 <= culprit < len(case.program):
        form = passed(case.client, case.program[culprit], evidence.verdict.execution.kernels)
        facts += [f"op {culprit} was called with {form}"] if form else []
    done = does(case.client)
    later = (f"client {case.client}: it {done}",) if done else ()
    return Told(facts=tuple(facts), later=later)


def _who(call: Call) -> str:
    return _OWN if call.is_own else _OTHER


def _in(call: Call) -> str:
    return f", in {call.place}" if call.is_own else ""


def _by_maker(evidence: Evidence) -> Iterator[Call]:
    """The calls; those during a capture are the other runtime's, since a capture makes no call."""
    for call in evidence.calls():
        is_other = isinstance(call.op, Capture)
        yield replace(call, is_own=False, position=-1, op=None) if is_other else call


def _crossed(evidence: Evidence) -> Iterator[tuple[Call, Call, int]]:
    """The calls of one runtime on an object of the other.

    Gives the call that made the object, the call that used it, and the object's number.
    """
    found = lives(_by_maker(evidence))
    for call in _by_maker(evidence):
        for number in named_by(call.event) if call.event.kind in _USES else ():
            made = found[number].made
            if made.is_own is not call.is_own and made.number < call.number:
                yield made, call, number


def _destroyed(evidence: Evidence, made: Call, used: Call, number: int) -> Iterator[str]:
    """Which runtime destroyed the buffer, unless the call that did so is ``used`` itself."""
    gone = [
        call
        for call in _by_maker(evidence)
        if call.event.kind == "destroy_buffer" and call.event["buffer"] == number
    ]
    for call in gone[:1]:
        if "role" in made.event.about and call.number != used.number:
            role = _role(made.event)
            yield f"{_who(call)} destroyed {role} {number} (call {call.number}{_in(call)})"


def _staged(evidence: Evidence, copy: Call, number: int) -> Iterator[str]:
    """Where the bytes of a staged write went, if ``copy`` takes them from ``number`` instead."""
    written = [
        call
        for call in _by_maker(evidence)
        if call.number < copy.number
        and call.event.kind == "write_buffer"
        and call.event["role"] == Role.UPLOAD
        and call.is_own is copy.is_own
    ]
    is_source = copy.event.kind == "copy" and copy.event["source"] == number
    for call in written[-1:]:
        if is_source and call.event["buffer"] != number:
            yield (
                f"the bytes of the write went to upload buffer {call.event['buffer']} of "
                f"{_who(copy)} itself (call {call.number}); only the source of the copy is another "
                f"runtime's; of the two runtimes, {_OTHER} was made last"
            )


def _role(made: Event) -> str:
    return f"{made['role']} buffer" if "role" in made.about else "bind group"


def _kept(verdict: Verdict, made: Call) -> Iterator[str]:
    """Where a runtime keeps the uniform buffer that ``made`` made."""
    whose = verdict.execution if made.is_own else verdict.execution.beside
    if whose is not None and made.event.about.get("role") == UNIFORM:
        yield f"{_who(made)} has uniforms={whose.case.policy.uniforms}"


def _calls_of(found: list[Call]) -> str:
    by_number = {each.number: each for each in found}.values()
    said = [f"{each.event.kind} (call {each.number}, {_at(each)})" for each in by_number]
    return ", ".join(said[:_MOST_CALLS]) + ", ..." * (len(said) > _MOST_CALLS)


def _at(call: Call) -> str:
    """The op that made a call, or the runtime that did."""
    if not call.is_own:
        return f"by {_OTHER}"
    return f"in op {call.position}" if call.position >= 0 else f"by {_OWN}"


def _swapped(verdict: Verdict, failure: Failure) -> str:
    """A sentence, if the other runtime's kernel of the same name would give what came back."""
    beside = verdict.execution.beside
    shown = beside if is_beside(failure) else verdict.execution
    at = failure.position
    if shown is None or not 0 <= at < len(shown.case.program):
        return ""
    got, program = shown.history.outcomes[at].data, shown.case.program
    kernels = beside.kernels if beside is not None else shown.kernels
    for name in dict.fromkeys(getattr(op, "kernel", "") for op in program):
        exchanged = _exchanged(kernels, name)
        if not name or got is None:
            continue
        if run(program, exchanged, shown.limits).outcomes[at].data == got:
            where = _OTHER if is_beside(failure) else _OWN
            ops = [n for n, op in enumerate(program) if getattr(op, "kernel", "") == name]
            return (
                f"op {ops[0]} of {where} ran the pipeline of the other runtime's kernel "
                f"{kernels[name].name}: each has its own kernel of that name, and a pipeline is "
                "found by the name alone"
            )
    return ""


def _exchanged(kernels: Mapping[str, Kernel], name: str) -> dict[str, Kernel]:
    """The kernels, with the kernel ``name`` exchanged for the other runtime's of that name."""
    pairs = [(each, twin_name(each, kernels)) for each in kernels]
    other = next((b if a == name else a for a, b in pairs if a != b and name in (a, b)), name)
    return {**kernels, name: kernels[other]} if name else {}
