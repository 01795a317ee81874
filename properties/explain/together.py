"""Two runtimes on one device: which one used or destroyed an object of the other.

Each runtime makes its own buffers and bind groups, and must not touch those of the other runtime.
Their kernels may share names, but each kernel has a pipeline of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpusim.kernels import Kernel
from gpusim.ops import Capture
from gpusim.program import Program
from gpusim.runtime.commands import Role
from gpusim.trace import Event
from properties.clients import BESIDE
from properties.clients.passed import does, passed
from properties.explain import rules
from properties.explain.calls import Call, calls
from properties.explain.told import Told
from properties.model.execution import Execution
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


def tell_beside(verdict: Verdict, failure: Failure) -> Told:
    """What one of the two runtimes did to an object of the other."""
    beside = f"client {BESIDE}: it {does(BESIDE)}, in part with other kernels of the same names"
    crossed = _crossed(verdict)
    if crossed is not None:
        made, call, number, rest = crossed
        role = _role(made.event)
        sentence = (
            f"{_who(call)} {_USES[call.event.kind]} {role} {number} (call {call.number}"
            f"{_in(call)}), which {_who(made)} had made (call {made.number}{_in(made)})"
        )
        facts = (*_staged(verdict, call, number), *rest, *_kept(verdict, made), beside)
        return Told(
            sentence=sentence,
            culprit=max(call.position, made.position),
            rule=rules.DATA_ALONE,
            facts=facts,
        )
    swapped = _swapped(verdict, failure)
    if swapped:
        return Told(sentence=swapped, rule=rules.DATA_ALONE, facts=(beside,))
    return Told(later=(beside,))


def tell_client(verdict: Verdict, culprit: int) -> Told:
    """What the client does, and in which form it passed the arguments of the op to blame."""
    case = verdict.execution.case
    facts: list[str] = []
    if 0 <= culprit < len(case.program):
        form = passed(case.client, case.program[culprit], verdict.execution.kernels)
        facts += [f"op {culprit} was called with {form}"] if form else []
    done = does(case.client)
    later = (f"client {case.client}: it {done}",) if done else ()
    return Told(facts=tuple(facts), later=later)


def _who(call: Call) -> str:
    return _OWN if call.is_own else _OTHER


def _in(call: Call) -> str:
    return f", in {call.place}" if call.is_own else ""


def _crossed(verdict: Verdict) -> tuple[Call, Call, int, tuple[str, ...]] | None:
    """Finds the first call of one runtime on an object of the other.

    Gives the call that made the object, the call that used it, the object's number, and a fact
    about all such calls if there are several.
    """
    made: dict[int, Call] = {}
    found: list[tuple[Call, Call, int]] = []
    for call in map(_by_maker, calls(verdict.execution.trace)):
        for name in ("buffer", "group"):
            if (
                call.event.kind in ("create_buffer", "create_bind_group")
                and name in call.event.about
            ):
                made[call.event[name]] = call
        if call.event.kind in _USES and not call.failed:
            for number in _used(call.event):
                if number in made and made[number].is_own is not call.is_own:
                    found.append((made[number], call, number))
    if not found:
        return None
    more = (
        f"{len(found)} calls of one runtime use objects of the other: "
        f"{_calls_of([call for _, call, _ in found])}"
    )
    gone = _destroyed(verdict, *found[0])
    return (*found[0], (*gone, *((more,) if len(found) > 1 else ())))


def _destroyed(verdict: Verdict, made: Call, used: Call, number: int) -> Iterator[str]:
    """Which runtime destroyed a buffer first, if the first use by the other was another call."""
    for call in map(_by_maker, calls(verdict.execution.trace)):
        is_gone = call.event.kind == "destroy_buffer" and call.event["buffer"] == number
        if is_gone and "role" in made.event.about:
            if call.number != used.number:
                role = _role(made.event)
                yield f"{_who(call)} destroyed {role} {number} (call {call.number}{_in(call)})"
            return


def _staged(verdict: Verdict, copy: Call, number: int) -> Iterator[str]:
    """Where the bytes of a staged write went, if ``copy`` takes them from ``number`` instead."""
    written: Call | None = None
    for call in map(_by_maker, calls(verdict.execution.trace)):
        if call.number >= copy.number:
            break
        if call.event.kind == "write_buffer" and call.event["role"] == Role.UPLOAD:
            written = call if call.is_own is copy.is_own else written
    is_source = copy.event.kind == "copy" and copy.event["source"] == number
    if written is not None and is_source and written.event["buffer"] != number:
        yield (
            f"the bytes of the write went to upload buffer {written.event['buffer']} of "
            f"{_who(copy)} itself (call {written.number}); only the source of the copy is another "
            f"runtime's; of the two, {_OTHER} was made last"
        )


def _by_maker(call: Call) -> Call:
    """The call; one during a capture is not the program's, since a capture makes none."""
    is_other = isinstance(call.op, Capture)
    return replace(call, is_own=False, position=-1, op=None) if is_other else call


def _role(made: Event) -> str:
    return f"{made['role']} buffer" if "role" in made.about else "bind group"


def _kept(verdict: Verdict, made: Call) -> Iterator[str]:
    """Where a runtime keeps the uniform buffer that ``made`` made."""
    whose = verdict.execution if made.is_own else verdict.execution.beside
    if whose is not None and made.event.about.get("role") == UNIFORM:
        yield f"{_who(made)} has uniforms={whose.case.policy.uniforms}"


def _calls_of(found: list[Call]) -> str:
    by_number = {each.number: each for each in found}.values()
    told = [f"{each.event.kind} (call {each.number}, {_at(each)})" for each in by_number]
    return ", ".join(told[:_MOST_CALLS]) + ", ..." * (len(told) > _MOST_CALLS)


def _at(call: Call) -> str:
    """The op that made a call, or the runtime beside."""
    where = f"in op {call.position}" if call.position >= 0 else f"by {_OWN}"
    return where if call.is_own else f"by {_OTHER}"


def _used(event: Event) -> Iterator[int]:
    if event.kind == "create_bind_group":
        yield from (number for number, _, _ in event["ranges"])
    elif event.kind == "dispatch":
        yield event["group"]
        yield from (number for number, _, _ in event["ranges"])
    elif event.kind == "copy":
        yield event["source"]
        yield event["target"]
    else:
        yield event["buffer"]


def _swapped(verdict: Verdict, failure: Failure) -> str:
    """A sentence, if the other runtime's kernel of the same name would give what came back."""
    execution = verdict.execution
    shown = execution.beside if is_beside(failure) else execution
    at = failure.position
    if shown is None or not 0 <= at < len(shown.case.program):
        return ""
    got = shown.history.outcomes[at].data
    program, kernels = shown.case.program, shown.kernels
    if execution.beside is not None:
        kernels = execution.beside.kernels
    for name in _names(program):
        if got is None or _give(program, _exchanged(kernels, name), shown, at) != got:
            continue
        where = _OTHER if is_beside(failure) else _OWN
        plain = kernels[name].name
        ops = [n for n, op in enumerate(program) if getattr(op, "kernel", "") == name]
        return (
            f"op {ops[0]} of {where} ran the pipeline of the other runtime's kernel {plain}: each "
            "has its own kernel of that name, and a pipeline is found by the name alone"
        )
    return ""


def _names(program: Program) -> list[str]:
    named = [getattr(op, "kernel", "") for op in program]
    return list(dict.fromkeys(filter(None, named)))


def _exchanged(kernels: Mapping[str, Kernel], name: str) -> dict[str, Kernel]:
    """The kernels, with the kernel ``name`` exchanged for the other runtime's of that name."""
    pairs = [(each, twin_name(each, kernels)) for each in kernels]
    other = next((b if a == name else a for a, b in pairs if a != b and name in (a, b)), name)
    return {**kernels, name: kernels[other]}


def _give(
    program: Program, kernels: Mapping[str, Kernel], shown: Execution, at: int
) -> bytes | None:
    return run(program, kernels, shown.limits).outcomes[at].data
