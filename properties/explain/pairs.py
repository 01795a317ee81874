"""Tries pairs of dispatches that differ in one thing, to learn what the key of a cache leaves out.

A runtime keeps bind groups, plans, shapes and payloads, and finds each again by a key.  If a key
leaves something out, then of two dispatches that differ only in this, the second goes wrong.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gpusim.limits import WORD_BYTES
from gpusim.runtime.commands import Role
from gpusim.runtime.policy import Uniforms
from properties.explain.calls import calls_of
from properties.explain.capacity import BY_PLACE
from properties.explain.carried import REPEATED
from properties.explain.kinds import KEPT
from properties.explain.told import NOTHING, Told, either, told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.failure import FailureKind
from properties.oracles.laws import catalogue as laws

_MADE = "".join(
    f"alloc {name} {size}\nwrite {name} 0 {word * (size // 4)}\n"
    for name, size, word in (
        ("x", 512, "01000000"),
        ("y", 512, "02000000"),
        ("w", 256, "03000000"),
        ("o", 512, "04000000"),
        ("p", 512, "05000000"),
    )
)
_NUMBERED = "".join(f"alloc c{n} 64\nwrite c{n} 0 {'05000000' * 16}\n" for n in range(1, 15))
"""Fourteen buffers, each named by its number."""
_ENDS = "read o 0 512 -> ro\nread p 0 512 -> rp\n"
_AFFINE = "dispatch affine o 3,1 1x1x1"
_KERNEL = "the kernel"
_TWELVE = 12
_SECOND, _LAST = "the 2nd of 12 scalars", "the last of 12 scalars"


def _many(nth: int) -> str:
    """A dispatch with twelve scalars.  Scalar ``nth`` is changed, counted from 1; none if 0."""
    scalars = ",".join(str(n + (n == nth)) for n in range(1, _TWELVE + 1))
    return f"many o {scalars} 1x1x1"


def _pair(one_and_other: str) -> tuple[str, str]:
    """Two dispatches; if the second reads buffer v, x is freed and v is made before it."""
    one, other = (f"dispatch {each}" for each in one_and_other.split(" / "))
    return one, f"free x\nalloc v 512\n{other}" if " v," in other else other


_DIFFER = {
    "an input of the same size": "fold x,o 1 1x1x1 / fold y,o 1 1x1x1",
    "an input of another size": "fold x,o 1 1x1x1 / fold w,o 1 1x1x1",
    "a new input for a freed one": "fold x,o 1 1x1x1 / fold v,o 1 1x1x1",
    "an output": "affine o 3,1 1x1x1 / affine p 3,1 1x1x1",
    "the part": "affine o[0:256] 3,1 1x1x1 / affine o[256:512] 3,1 1x1x1",
    "the second of two inputs": "mix x,y,o 3,1 1x1x1 / mix x,p,o 3,1 1x1x1",
    "the last of three buffers": "mix x,y,o 3,1 1x1x1 / mix x,y,p 3,1 1x1x1",
    _KERNEL: "affine o 3,1 1x1x1 / count o 3,1 1x1x1",
    "the first scalar": "affine o 3,1 1x1x1 / affine o 5,1 1x1x1",
    "the last scalar": "affine o 3,1 1x1x1 / affine o 3,2 1x1x1",
    _SECOND: f"{_many(0)} / {_many(2)}",
    _LAST: f"{_many(0)} / {_many(_TWELVE)}",
    "the order of the scalars": "affine o 3,5 1x1x1 / affine o 5,3 1x1x1",
    "both scalars, with the same sum": "affine o 3,5 1x1x1 / affine o 2,6 1x1x1",
    "both scalars, with the same xor": "affine o 3,5 1x1x1 / affine o 2,4 1x1x1",
    "the sign of a zero": "blend x,o 0.0 1x1x1 / blend x,o -0.0 1x1x1",
    "the grid in x": "affine o 3,1 1x1x1 / affine o 3,1 2x1x1",
    "the grid in y": "affine o 3,1 1x1x1 / affine o 3,1 1x2x1",
    "the grid in z": "affine o 3,1 1x1x1 / affine o 3,1 1x1x2",
}
"""For each thing in which two dispatches may differ, two such dispatches; v is new, x is freed."""
_PAIRS = {what: _pair(both) for what, both in _DIFFER.items()}
_SCALARS = ("the first scalar", "the last scalar")
_KERNELS = {
    "count (the same bindings, as many bytes of scalars)": "dispatch count o 3,1 1x1x1",
    "many (more bytes of scalars)": "dispatch many o 1,2,3,4,5,6,7,8,9,10,11,12 1x1x1",
    "scramble (no scalars)": "dispatch scramble o - 1x1x1",
    "fold (more buffers)": "dispatch fold x,o 1 1x1x1",
}
"""Dispatches over ``o`` of other kernels than ``affine``, by what sets them apart."""
_NO_CACHE: Mapping[str, Any] = {
    "plan_cache": 0,
    "cache_bind_groups": False,
    "uniforms": Uniforms.FRESH,
}
_FINER = (
    "the order of the scalars",
    "both scalars, with the same sum",
    "both scalars, with the same xor",
)
"""These differ in both scalars: they tell nothing more if a difference in one does harm already."""
_IN_A_ROW = ("the kernel", "the grid in x", "an output", "the part", "the first scalar")
_WAITS = "dispatch affine o 3,1 1x1x1\n"
"""A dispatch that a write to ``o`` must not overtake, so that the write is staged."""
_FOUR = f"{_WAITS}write o 0 0b0b0b0b"
_EIGHT = f"{_WAITS}write o 0 0b0b0b0b0b0b0b0b"
_STAGED = {
    "as many bytes as the first": (_FOUR, f"{_WAITS}write o 0 0c0c0c0c"),
    "as many, for another place": (_FOUR, f"{_WAITS}write o 64 0c0c0c0c"),
    "fewer": (_EIGHT, f"{_WAITS}write o 0 0c0c0c0c"),
    "more": (_FOUR, f"{_WAITS}write o 0 0c0c0c0c0c0c0c0c"),
    "none": (_FOUR, "dispatch affine o 5,1 1x1x1"),
}
"""Two batches, by how many bytes the second stages, compared with the first."""
_THREE = "write o 0 0b0b0b0b\nwrite o 64 0c0c0c0c0c0c0c0c\nwrite p 0 0d0d0d0d0d0d0d0d0d0d0d0d\n"
_PLACES = (0, 4, 12)
"""Where the bytes of these staged writes stand in the upload buffer, one after the other."""
_ANOTHER = "a callback issued has another value"
_LAWS = (laws.B1.name, laws.B2.name, laws.E2.name, laws.E3.name, laws.E5.name)
_OF_STAGED = (laws.A8.name, laws.A9.name)
_OPERANDS = ("scalars", "buffers", "kernel", "call")
_KINDS = (FailureKind.VALUE, FailureKind.ERROR, FailureKind.LAW)
_SHOWN = (FailureKind.VALUE, FailureKind.ERROR, FailureKind.LATE_ERROR, FailureKind.CRASH)
_MOST_RIGHT = 4
_OF_TWELVE = "of 12"
"""In the names of scalars of the longest payload: they tell how many of its bytes are compared."""
_OF_ONE_SORT = (_OF_TWELVE, "input", "output", "scalar", "grid")


def tell_pairs(evidence: Evidence) -> Told:
    """Says with which differences between two dispatches the second goes wrong.

    A bind group that was made for a dispatch, but not used by it, is told as well.
    """
    group = told(*_other_group(evidence))
    facts, broken = evidence.argument.facts, evidence.broken
    if any(REPEATED in fact for fact in facts):
        return _of_repeated(evidence)
    if any(BY_PLACE in fact for fact in facts):
        # What decides is the place of a dispatch in its batch, and not what it differs in.
        return group
    rule = evidence.argument.rule.name if evidence.argument.rule is not None else ""
    is_kept = any(KEPT in fact for fact in facts)
    is_fit = is_kept or evidence.kind in _OPERANDS or {broken, rule} & {*_LAWS}
    return told(*group.facts, *_of_pairs(evidence).facts) if is_fit else group


@by_trial(*_KINDS, without_faults=True)
def _of_pairs(evidence: Evidence, trials: Trials) -> Told:
    """Says which of the pairs go wrong, and tries more dispatches like some of these."""
    wrong, right = _second_goes_wrong(trials, _PAIRS) if evidence.fits.parts else ([], [])
    if {*_SCALARS} & {*wrong}:
        wrong = [what for what in wrong if what not in _FINER]
    if {*_SCALARS} <= {*wrong}:
        wrong = [what for what in wrong if _sort(what) != _OF_TWELVE]
    if not wrong or not right:
        return NOTHING
    wrong += _joined(trials) if evidence.broken == laws.E5.name else ()
    left = len(right) - _MOST_RIGHT
    return told(
        *(_of_kernels(trials) if _KERNEL in wrong else ()),
        _of_twelve(trials) if _LAST in wrong and _SECOND in right else "",
        f"of two dispatches that differ in one thing, the second goes wrong if that is "
        f"{either(wrong)}; not if it is {', '.join(right[:_MOST_RIGHT])}"
        f"{f' or {left} others' if left > 0 else ''}",
    )


def _of_twelve(trials: Trials) -> str:
    """Says which of twelve scalars, each a word, are compared when a payload is looked up."""
    pairs = {str(nth): _pair(f"{_many(0)} / {_many(nth)}") for nth in range(1, _TWELVE + 1)}
    wrong, right = _second_goes_wrong(trials, pairs)
    if not wrong or not right:
        return ""
    start = [str(nth) for nth in range(1, len(right) + 1)]
    said = f"the first {len(right) * WORD_BYTES} bytes" if right == start else "those"
    return (
        f"tried payloads of {_TWELVE} scalars, each a word, that differ in one: told apart are "
        f"those that differ in scalar {', '.join(right)}; not in scalar {', '.join(wrong)}: so "
        f"likeliest only {said} are compared"
    )


def _of_kernels(trials: Trials) -> Iterator[str]:
    """Says after which other kernels a dispatch goes wrong, and whether caches have a part in it.

    A runtime always keeps pipelines; what else it keeps, its policy says.
    """
    pairs = {what: (before, _AFFINE) for what, before in _KERNELS.items()}
    wrong, right = _second_goes_wrong(trials, pairs)
    if not wrong or not right:
        return
    yield f"tried: affine goes wrong right after {either(wrong)}; not after {', '.join(right)}"
    if trials.case.follows_no_policy:
        return
    if _second_goes_wrong(trials.under(**_NO_CACHE), {wrong[0]: pairs[wrong[0]]})[0]:
        yield (
            "tried without a cache of plans, bind groups or uniforms: it still goes wrong, so "
            "likeliest the pipeline of one kernel was found for the other"
        )


@by_trial(*_KINDS, without_faults=True)
def _of_repeated(evidence: Evidence, trials: Trials) -> Told:
    """Says which differences are missed when a dispatch is compared with the one before it.

    Scalars may stand in a new place for each dispatch, which would tell any two apart.  So equal
    payloads share a place here, if the runtime follows a policy.
    """
    if not evidence.fits.parts:
        return NOTHING
    shared = ""
    if not evidence.case.follows_no_policy:
        shared, trials = " under uniforms=cached", trials.under(uniforms=Uniforms.CACHED)
    pairs = {"nothing": (_AFFINE, _AFFINE), **{what: _PAIRS[what] for what in _IN_A_ROW}}
    wrong, right = _second_goes_wrong(trials, pairs, between="")
    if not wrong or not right:
        return NOTHING
    return told(
        f"tried{shared}: the second of two dispatches in a row goes wrong if they differ in "
        f"{either(wrong)}; not if they differ in {either(right)}"
    )


def _joined(trials: Trials) -> Iterator[str]:
    """Tells that a key joins the numbers of buffers: other numbers may then give the same key."""
    # The texts are the same only if buffers are numbered from 1.
    counted = trials.having(seed="")
    one, two = (f"dispatch fold c{a},c{b} 1 1x1x1\n" for a, b in ((1, 14), (11, 4)))
    end = "read c4 0 64 -> r\n"
    is_wrong = counted.fails(f"{_NUMBERED}{one}flush\n{two}{end}")
    if is_wrong and not counted.fails(f"{_NUMBERED}{two}{end}"):
        yield "the numbers of two buffers that give one text if joined (1 with 14 and 11 with 4)"


@by_trial(*_KINDS, FailureKind.CRASH, follows_policy=True, without_faults=True)
def tell_staged(evidence: Evidence, trials: Trials) -> Told:
    """Tries two batches that stage host writes; says which sizes make the second go wrong."""
    is_crash = evidence.failure.kind is FailureKind.CRASH
    # A client that reads in its callbacks sees the wrong bytes before any read of the program.
    is_by_client = is_crash and _ANOTHER in evidence.failure.reason
    is_by_law = not is_crash and evidence.broken in _OF_STAGED
    if not (is_by_client or is_by_law) or not evidence.case.policy.staged_write_bytes:
        return NOTHING
    wrong, right = _second_goes_wrong(trials.plainly(), _STAGED)
    if not wrong:
        return _of_one_batch(trials.plainly())
    return told(
        "of two batches that stage host writes, the second goes wrong if it stages "
        f"{either(wrong)}; not if it stages {either(right)}"
    )


def _of_one_batch(trials: Trials) -> Told:
    """Stages three writes in one batch; says where in the upload buffer their copies begin."""
    judged = trials.run(f"{_MADE}{_WAITS}{_WAITS.replace(' o ', ' p ')}{_THREE}flush\n{_ENDS}")
    trace = judged.execution.trace
    made = calls_of(trace, "create_buffer", role=Role.UPLOAD.value)
    uploads = {call.event["buffer"] for call in made}
    copies = [call.event for call in calls_of(trace, "copy")]
    taken = [copy["source_offset"] for copy in copies if copy["source"] in uploads]
    if judged.failure is None or len(taken) != len(_PLACES) or taken == [*_PLACES]:
        return NOTHING
    due, got = (", ".join(map(str, places)) for places in (_PLACES, taken))
    return told(
        f"tried staged writes of 4, 8 and 12 bytes in one batch, to places of their own: their "
        f"copies begin at bytes {got} of the upload buffer; due are {due}"
    )


def _other_group(evidence: Evidence) -> Iterator[str]:
    """Tells of a dispatch for which a bind group was made, but which used an older one."""
    accused, trace = evidence.traced.accused, evidence.trace
    used = accused.command.about.get("group", -1) if accused is not None else -1
    if accused is None or used < 0:
        return
    at = accused.expected.position
    made = {call.event["group"]: call for call in calls_of(trace, "create_bind_group")}
    own = [number for number, each in made.items() if each.position == at and number != used]
    if not own or used not in made or made[used].position >= at:
        return
    fact = (
        f"op {at} made bind group {own[-1]} (call {made[own[-1]].number}), and was not given it: "
        f"its dispatch has group {used}, which {made[used].place} had made"
    )
    if at in evidence.evicting("bind_groups"):
        fact += f"; to keep group {own[-1]}, the full cache gave up another group in op {at}"
        most, order = evidence.case.policy.bind_group_cache, [*made]
        if order.index(own[-1]) - most == order.index(used):
            fact += f"; group {used} was the oldest of the {most} that it held"
    yield fact


def _second_goes_wrong(
    trials: Trials, pairs: Mapping[str, tuple[str, str]], between: str = "flush\n"
) -> tuple[list[str], list[str]]:
    """Two lists of differences between the dispatches of a pair.

    The first list has those with which the second dispatch goes wrong, but only after the first
    dispatch.  The second list has all others.
    """
    failed: dict[str, FailureKind] = {}
    for what, (one, two) in pairs.items():
        failure = trials.run(f"{_MADE}{one}\n{between}{two}\n{_ENDS}").failure
        # If the second goes wrong without the first as well, the first has no part in it.
        if failure is not None and not trials.fails(f"{_MADE}{two}\n{_ENDS}"):
            failed[what] = failure.kind
    # If some pairs give a wrong value or a wrong error, those that only break a law do not count.
    wrong = [what for what, kind in failed.items() if kind in _SHOWN] or [*failed]
    near = {*map(_sort, wrong)} - {""}
    right = [what for what in pairs if what not in wrong]
    right.sort(key=lambda what: _sort(what) not in near)
    return wrong, right


def _sort(what: str) -> str:
    return next((sort for sort in _OF_ONE_SORT if sort in what), "")
