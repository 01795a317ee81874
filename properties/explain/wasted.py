"""Tries which equal ops make again what a cache or a pool has, if something was made in vain.

A small program shows only the first thing that was made in vain.  Equal ops in a row show which of
them find it, and reads of several lengths show which of them find a free staging buffer.
"""

from dataclasses import replace

from gpusim.program import Program
from gpusim.runtime.policy import Policy
from properties.explain.calls import Call, calls
from properties.explain.capacity import LIFTED
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
_SIZES = (4, 252, 256, 260, 512)
_SECOND = 3
"""The place of the second read of ``_of_free``."""
_SIZED = (4, 256, 260)
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
    return _of_sizes(verdict, again) if failure.trait == _SIZE else NOTHING


def _of_rows(verdict: Verdict, trait: str, again: Judge) -> Told:
    what, (one, other) = _ROWS[trait]
    equal = _places(_made(verdict, "alloc x 4\n" + _row(one, one), what, again), 1)
    turns = _places(_made(verdict, "alloc x 4\n" + _row(one, other), what, again), 1)
    both = "" if one == other else f"; with two payloads in turn, dispatches {_said(turns)} do"
    return Told(
        facts=(
            f"tried {_TIMES} equal dispatches in a row: dispatches {_said(equal)} make an entry of "
            f"the {trait}, where the first alone should{both}",
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
    fact = "tried two equal reads, a sync between: the second "
    if not old:
        fact += f"never takes the free staging buffer of the first, at {_said(new)} bytes"
        return Told(facts=(fact,))
    fact += (
        f"of {_said(new)} bytes does not take the free staging buffer of the first; of "
        f"{_said(old)} bytes it does"
    )
    if old == [size for size, each in made.items() if each[0].event["size_bytes"] == size]:
        fact += ": likeliest only a buffer of exactly the read's bytes is taken"
    return Told(facts=(fact,))


def _of_sizes(verdict: Verdict, again: Judge) -> Told:
    case = verdict.execution.case
    lifted = replace(case.policy, **LIFTED)
    facts = []
    made = {size: _staged(verdict, (size,), lifted, again) for size in _SIZED}
    sizes = {size: each[0] for size, each in made.items() if each}
    page = case.policy.staging_page_bytes
    if sizes and {*sizes.values()} == {page}:
        facts += [
            f"each read has {page} bytes of its own, staging_page_bytes, the size of a page that "
            "joined reads share; with join_reads=False a read asks for its own bytes alone"
        ]
    elif sizes:
        told = ", ".join(f"one of {size} bytes has {each}" for size, each in sizes.items())
        facts += [f"tried reads alone, with join_reads=False: {told}"]
    count = len(_staged(verdict, (4, 4, 4), replace(lifted, join_reads=True), again))
    if count > 1:
        facts += [
            f"tried three reads of a word in one batch with join_reads=True: {count} staging "
            "buffers are made for them, though one page has room for all"
        ]
    return Told(facts=tuple(facts[::-1]))


def _staged(verdict: Verdict, sizes: tuple[int, ...], policy: Policy, again: Judge) -> list[int]:
    """The sizes of the staging buffers that are made for reads of ``sizes`` in one batch."""
    case = replace(verdict.execution.case, policy=policy)
    changed = replace(verdict, execution=replace(verdict.execution, case=case))
    reads = "".join(f"read x 0 {size} -> r{n}\n" for n, size in enumerate(sizes))
    made = _made(changed, f"alloc x {max(sizes)}\n{reads}", ("create_buffer", STAGING), again)
    return [call.event["size_bytes"] for call in made]


def _made(verdict: Verdict, text: str, what: tuple[str, str], again: Judge) -> list[Call]:
    """The calls that made a thing of the kind ``what`` in the program ``text``."""
    kind, role = what
    program = Program.parse(text)
    case = replace(verdict.execution.case, program=program, client=PLAIN, transformations=())
    return [
        call
        for call in calls(again(case).execution.trace)
        if call.event.kind == kind
        and (not role or call.event["role"] == role)
        and 0 <= call.position < len(program)
    ]


def _places(made: list[Call], first: int) -> list[int]:
    """The ops that made ``made``, counted from 1 at the op ``first``."""
    return [call.position - first + 1 for call in made if call.position >= first]


def _said(numbers: list[int]) -> str:
    return " and ".join(filter(None, (", ".join(map(str, numbers[:-1])), str(numbers[-1]))))
