"""Tries which equal ops make again what a cache or a pool has, if something was made in vain.

A small program shows only the first thing that was made in vain.  Equal ops in a row show which of
them find it, and reads of several lengths show which of them find a free staging buffer.
"""

from dataclasses import replace

from gpusim.program import Program
from properties.explain.calls import Call, calls
from properties.explain.experiments import Judge
from properties.explain.told import NOTHING, Told
from properties.model.case import PLAIN
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.expected import STAGING

_UNIFORM = "uniform"
_TIMES = 12
_ROWS = {
    "uniforms": (("create_buffer", _UNIFORM), ("1,1", "2,1")),
    "bind groups": (("create_bind_group", ""), ("1,1", "1,1")),
}
"""By the trait of a cost: what is made, and the scalars of two dispatches that need one each."""
_SIZES = (4, 12, 252, 256, 260, 508, 512, 1024)
_SECOND = 3
"""The place of the second read of ``_of_free``."""
_FREE, _SIZE = "staging", "staging size"


def tell_wasted(verdict: Verdict, failure: Failure, again: Judge | None) -> Told:
    """Tells which of several ops make what is there already; NOTHING for other failures."""
    execution = verdict.execution
    if again is None or failure.kind is not FailureKind.COST or not execution.is_lawful:
        return NOTHING
    if failure.trait in _ROWS:
        return _of_rows(verdict, failure.trait, again)
    if failure.trait == _FREE:
        return _of_free(verdict, again)
    return _of_pages(verdict, again) if failure.trait == _SIZE else NOTHING


def _of_rows(verdict: Verdict, trait: str, again: Judge) -> Told:
    what, (one, other) = _ROWS[trait]
    equal = _places(_made(verdict, "alloc x 4\n" + _row(one, one), what, again), 1)
    turns = _places(_made(verdict, "alloc x 4\n" + _row(one, other), what, again), 1)
    both = "" if one == other else f"; with two payloads in turn, dispatches {_said(turns)} do"
    return Told(
        facts=(
            f"tried {_TIMES} equal dispatches in a row: dispatches {_said(equal)} make one of the "
            f"{trait}, where the first alone should{both}",
        )
    )


def _row(one: str, other: str) -> str:
    both = [f"dispatch affine x {scalars} 1x1x1\n" for scalars in (one, other)]
    return "".join(both) * (_TIMES // 2)


def _of_free(verdict: Verdict, again: Judge) -> Told:
    text = "alloc x {0}\nread x 0 {0} -> r\nsync\nread x 0 {0} -> s\n"
    made = {
        size: _made(verdict, text.format(size), ("create_buffer", STAGING), again)
        for size in _SIZES
    }
    new = [size for size, each in made.items() if _places(each, _SECOND)]
    old = [size for size in _SIZES if size not in new]
    if not new:
        return NOTHING
    found = f"the second of {_said(old)} bytes takes it" if old else "none of these sizes passes"
    exact = [size for size, each in made.items() if each[0].event["size_bytes"] == size]
    if old == exact:
        found += ": likeliest only a buffer of exactly the read's bytes is taken, and none longer"
    return Told(
        facts=(
            f"tried two equal reads, a sync between: the second of {_said(new)} bytes does not "
            f"take the free staging buffer of the first; {found}",
        )
    )


def _of_pages(verdict: Verdict, again: Judge) -> Told:
    case = verdict.execution.case
    policy = replace(case.policy, join_reads=True)
    joined = replace(
        verdict, execution=replace(verdict.execution, case=replace(case, policy=policy))
    )
    text = "alloc x 12\nread x 0 4 -> r\nread x 4 4 -> s\nread x 8 4 -> t\n"
    count = len(_made(joined, text, ("create_buffer", STAGING), again))
    shared = "they share one staging buffer"
    if count > 1:
        shared = f"{count} staging buffers are made for them, though one page has room for all"
    facts = [f"tried three reads of a word in one batch with join_reads=True: {shared}"]
    if not case.policy.join_reads:
        facts += [
            f"{policy.staging_page_bytes} bytes is staging_page_bytes, the size of a page that "
            "joined reads share; with join_reads=False a read asks for its own bytes alone"
        ]
    return Told(facts=tuple(facts))


def _made(verdict: Verdict, text: str, what: tuple[str, str], again: Judge) -> list[Call]:
    """The calls that made a thing of the kind ``what`` in the program ``text``."""
    kind, role = what
    case = replace(
        verdict.execution.case, program=Program.parse(text), client=PLAIN, transformations=()
    )
    return [
        call
        for call in calls(again(case).execution.trace)
        if call.event.kind == kind and (not role or call.event["role"] == role)
    ]


def _places(made: list[Call], first: int) -> list[int]:
    """The ops that made ``made``, counted from 1 at the op ``first``."""
    return [call.position - first + 1 for call in made if call.position >= first]


def _said(numbers: list[int]) -> str:
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))
