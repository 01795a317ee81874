"""The lives of buffers and bind groups: made, used and destroyed; and the numbers that they have.

A runtime may use what it has destroyed, keep what it should destroy, or take a new buffer for an
old one of the same number.  A runtime that counts in too few bits, 8 for instance, goes wrong only
at large numbers.  So a longer program runs with counts that begin just below 2**8, 2**16 and 2**32.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from gpusim.ops import Alloc, AnyDispatch, Copy, Flush, Write
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.trace import Event
from properties.explain.argument import said_shortly
from properties.explain.calls import Call, calls
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.failure import Failure, FailureKind
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STORAGE, UNIFORM
from properties.targets.factory import STARTS, first_number

_BUFFER = re.compile(r"(\w+) buffer (\d+)")
_LIFE = {"create_buffer": "made", "destroy_buffer": "destroyed"}
_MAKING = {"create_buffer": "buffer", "adopt_buffer": "adopted", "create_bind_group": "group"}
_NAMING = ("buffer", "source", "target", "group")
"""Fields of a call that name one buffer or bind group."""
_OF_CAPACITY = (laws.B5.name, laws.F6.name)
_OF_GROUPS = (FailureKind.ERROR, FailureKind.LATE_ERROR, FailureKind.VALUE, FailureKind.LAW)
_MORE = "".join(
    f"alloc more{n} 4\ndispatch affine more{n} 1,1 1x1x1\nread more{n} 0 4 -> more{n}\nsync\n"
    for n in range(4)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """A buffer or a bind group, by its number: all calls that name it."""

    number: int
    calls: list[Call] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Call]:
        """The calls of these kinds."""
        return [call for call in self.calls if call.event.kind in kinds]

    @property
    def made(self) -> Call:
        """The last call that made it; without one, the first call that names it."""
        making = [call for call in self.of(*_MAKING) if _own(call.event) == [self.number]]
        return (making or self.calls)[-1 if making else 0]

    @property
    def role(self) -> str:
        """The role of a buffer; "adopted" for one from outside, and "group" for a bind group."""
        return str(self.made.event.about.get("role", _MAKING.get(self.made.event.kind, "buffer")))

    @property
    def gone(self) -> Call | None:
        """The first call that destroyed it."""
        return next(iter(self.of("destroy_buffer")), None)

    def is_alive(self, number: int) -> bool:
        """Whether it was made before the call of that number, and not destroyed before it."""
        return self.made.number < number and not (self.gone and self.gone.number < number)


def named_by(event: Event) -> list[int]:
    """The numbers of the buffers and bind groups that a call names."""
    return [*_own(event), *(number for number, _, _ in event.about.get("ranges", ()))]


def _own(event: Event) -> list[int]:
    """The numbers that stand by themselves in a call, and not in the list of what is bound."""
    return [event[name] for name in _NAMING if name in event.about]


def lives(made: Iterable[Call]) -> dict[int, Life]:
    """The life of each buffer and bind group, in the order in which calls first name them."""
    found: dict[int, Life] = {}
    for call in made:
        for number in named_by(call.event):
            found.setdefault(number, Life(number=number)).calls.append(call)
    return found


def tell_leak(evidence: Evidence) -> Told:
    """Names a uniform buffer that is never destroyed, though the cache evicted one."""
    is_crash = evidence.failure.kind is FailureKind.CRASH
    broken = evidence.traced.broken if is_crash else evidence.failure
    evicted = evidence.evicting("uniforms")
    if broken is None or broken.trait not in _OF_CAPACITY or not evicted:
        return NOTHING
    for life in lives(evidence.calls()).values():
        if life.role == UNIFORM and life.gone is None:
            used = life.of("create_buffer", "dispatch")[-1]
            return Told(
                sentence=f"uniform buffer {life.number}, made in {life.made.place}, was never "
                "destroyed, not even by the close; the cache evicted a buffer in "
                f"{evidence.place(evicted[0])}, and this one was last used at call {used.number}; "
                f"so {broken.said}",
                culprit=life.made.position,
            )
    return NOTHING


def tell_life(evidence: Evidence) -> Told:
    """If law F1 is broken first: tells when the buffer in its report was made and destroyed."""
    about = _BUFFER.search(evidence.said) if evidence.broken == laws.F1.name else None
    if about is None:
        return NOTHING
    number, trials = int(about[2]), evidence.trials
    made = [call.event["buffer"] for call in evidence.calls("create_buffer", role=about[1])]
    own = [call for call in evidence.calls(*_LIFE) if call.event["buffer"] == number]
    if len(own) < 2:
        return NOTHING
    ends = [f"{_LIFE[call.event.kind]} at call {call.number}, in {call.place}" for call in own]
    which = f", number {made.index(number) + 1} of {len(made)}," if len(made) > 1 else ""
    again = _found_again(own[0], trials) if trials is not None and len(own) > 2 else ""
    return told(again, f"{about[0]}{which} was {'; '.join(ends)}")


def _found_again(made: Call, trials: Trials) -> str:
    """Says so if the op that made the buffer, called again, binds it though it is destroyed."""
    number, op = made.event["buffer"], made.op
    if not isinstance(op, Write | AnyDispatch | Copy):
        return ""
    program = Program((*trials.case.program.ops, Flush(), op))
    life = lives(calls(trials.run(program).execution.trace)).get(number, Life(number=number))
    for call in life.of("dispatch"):
        if life.gone is not None and call.number > life.gone.number:
            return (
                f"tried with a flush and op {made.position} once more at the end: it binds "
                f"{made.event['role']} buffer {number} again (call {call.number}), which was "
                f"destroyed at call {life.gone.number}: likeliest a cache still finds it"
            )
    return ""


def tell_gone(evidence: Evidence) -> Told:
    """Tells of a dispatch that uses an old bind group after a buffer of the group was destroyed.

    The group is old if a dispatch of an earlier batch used it.  If the group was made for the
    dispatch's kernel, a destroyed uniform buffer is not told: the laws on slots say more of it.
    """
    if evidence.failure.kind not in _OF_GROUPS or len(evidence.case.device.faults):
        return NOTHING
    found = lives(evidence.calls())
    submits = [call.number for call in evidence.calls("submit")]
    for dispatch in evidence.calls("dispatch"):
        life = found[dispatch.event["group"]]
        first = life.of("dispatch")[0].number
        if not any(first < each < dispatch.number for each in submits):
            continue
        is_other = life.made.event["kernel"] != dispatch.event["kernel"]
        for buffer in [found[number] for number, _, _ in dispatch.event["ranges"]]:
            is_gone = not buffer.is_alive(dispatch.number)
            if buffer.gone and is_gone and (is_other or buffer.role == STORAGE):
                return _with_old_group(dispatch, life.made, buffer, buffer.gone, found)
    return NOTHING


def _with_old_group(
    dispatch: Call, group: Call, buffer: Life, gone: Call, found: dict[int, Life]
) -> Told:
    role, earlier = buffer.role, [life for life in found.values() if life.is_alive(dispatch.number)]
    new = [
        f"; {dispatch.place} made buffer {life.number} (call {life.made.number})"
        for life in earlier
        if life.role == role and life.made.position == dispatch.position
    ]
    kernel, others = dispatch.event["kernel"], group.event["kernel"]
    groups = [life.made for life in earlier if life.role == "group"]
    own = [call for call in groups if call.event["kernel"] == kernel != others]
    return Told(
        sentence=(
            f"{dispatch.place} was dispatched with the bind group of {group.place}, which binds "
            f"{role} buffer {buffer.number}; that buffer was destroyed"
        ),
        culprit=dispatch.position,
        rule=laws.E3,
        facts=(
            f"call {dispatch.number} has bind group {dispatch.event['group']}, made at call "
            f"{group.number}; call {gone.number} destroyed its buffer {buffer.number}"
            f"{''.join(new[-1:])}",
            *(
                f"bind group {group.event['group']} was made for kernel {others}; {kernel} has "
                f"group {call.event['group']}, made at call {call.number}: likeliest an entry of "
                "the cache has the value of another key"
                for call in own[-1:]
            ),
        ),
    )


@by_trial(FailureKind.LAW)
def tell_again(evidence: Evidence, trials: Trials) -> Told:
    """Tells what else goes wrong if the device gives a new buffer the number of an old one.

    For that the program runs under policy ``cached``, with ops at its end that use, free and make
    buffers.
    """
    if evidence.failure.trait != laws.E1.name:
        return NOTHING
    names = [op.buffer for op in evidence.program if isinstance(op, Alloc)]
    one, other = [name for name in "yzxwvu" if name not in names][:2]
    tail = (
        f"alloc {one} 4\ndispatch affine {one} 1,1 1x1x1\nsync\nfree {one}\nsync\n"
        f"alloc {other} 4\ndispatch affine {other} 2,3 1x1x1\nsync\n"
    )
    program = Program((*evidence.program.ops, *Program.parse(tail).ops))
    failure = trials.having(policy=PRESETS["cached"]).run(program).failure
    if failure is None or failure.kind is not FailureKind.LAW or failure.trait == laws.E1.name:
        return NOTHING
    return told(
        "the device reuses numbers of buffers; if the program runs under policy cached and goes "
        f"on with {'; '.join(tail.splitlines()[:4])}, {failure.trait} is broken: {failure.said}"
    )


@by_trial(follows_policy=True)
def tell_starts(evidence: Evidence, trials: Trials) -> Told:
    """Tells how a longer program ends for each number from which the counts of a case may begin."""
    own = first_number(evidence.case.seed)
    if own == 1 or trials.again(replace(evidence.case, seed="")).failure is not None:
        return NOTHING
    program = Program((*evidence.program.ops, *Program.parse(_MORE).ops))
    # For each such number, a seed with which the runtime counts from there.
    seeds = {
        first: next(seed for seed in map(str, count()) if first_number(seed) == first)
        for first in sorted({*STARTS})
    }
    ends = {
        first: _end(trials.having(seed=seed).run(program).failure) for first, seed in seeds.items()
    }
    if ends[1] != "passes" or ends[own] == "passes":
        return NOTHING
    said = "; ".join(f"from {first}: {end}" for first, end in ends.items() if first > 1)
    return told(f"tried in a longer program, with buffers, writes and submits counted {said}")


def _end(failure: Failure | None) -> str:
    if failure is None:
        return "passes"
    shown = failure.sides[-1][1] if failure.sides else failure.reason
    return f"{said_shortly(shown)} in op {failure.position}"
