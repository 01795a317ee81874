"""Runs other programs in which the same mistake shows more clearly, and explains those.

A program that was made small shows a mistake in the way that needs the fewest ops.  So the mistake
may show in a count, or in a broken law, and in no value.  A kernel runs alone, to see whether its
WGSL and its NumPy give different bytes.  A rewrite of a case runs by itself, to see if it fails.
"""

from dataclasses import replace

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN
from gpusim.limits import WORD_BYTES
from gpusim.ops import AnyDispatch, Copy, Read, Write
from gpusim.program import Program, buffers_of
from gpusim.runtime.policy import PRESETS
from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.kinds import UNEXPLAINED
from properties.explain.refused import taken_along
from properties.explain.rules import KERNEL
from properties.explain.scene import Scene
from properties.explain.told import NOTHING, Told, told
from properties.explain.trials import Argue, Evidence, Judge, Trials, by_trial, sides
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws.catalogue import A5, A8, A9
from properties.oracles.metamorphic.relations import transform
from properties.oracles.metamorphic.rewrites import fresh_names, sizes_of

_OF_BYTES = (A5.name, A8.name, A9.name)
_MOST_OTHERS = 2
_SHOWN = (FailureKind.VALUE, FailureKind.ERROR, FailureKind.LATE_ERROR)
_WORDS = ("LeftBehind: <", "BrokenPromise: an array as a buffer", " shapes ")
"""Words of the failures for which ``_PROGRAMS`` are tried."""
_PROGRAMS = (
    "alloc x 4; dispatch tally x 1 1x1x1; dispatch tally x 2 2x1x1; dispatch tally x 3 2x3x1; "
    "dispatch tally x 4 2x3x2; read x 0 4 -> r",
    "alloc x 4; dispatch tally x 1 {wide}x1x1; dispatch affine x 3,1 {wide}x1x1; read x 0 4 -> r",
    "alloc x 4; dispatch affine x 3,1 0x{wide}x1",
    "alloc x 4; alloc y 4; alloc z 4; write x 0 01000000; dispatch mix x,y,z 3,1 1x1x1; "
    "dispatch mix y,x,z 5,2 1x1x1; read z 0 4 -> r",
    "alloc x 4; dispatch affine x 3,1 1x1x1; free x; dispatch affine x 3,1 1x1x1",
    "alloc x 4; alloc y 12; dispatch_indirect affine x 3,1 y 0; free y; "
    "dispatch_indirect affine x 3,1 y 0",
    "alloc x 4; alloc y 4; free y; dispatch affine x 3,1 1x1x1; dispatch affine y 3,1 1x1x1; "
    "dispatch affine x 5,2 1x1x1; read x 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g 5,2 -; replay g 7,4 -; "
    "read x 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g 5,2 -; replay g * -; "
    "read x 0 4 -> r",
    "alloc x 4; alloc y 4; alloc z 4; capture g dispatch affine x 3,1 1x1x1; replay g * x=y; "
    "replay g * x=z; read z 0 4 -> r",
    "alloc x 4; capture g dispatch affine x 3,1 1x1x1; replay g * -; free x; replay g * -",
    "alloc x 4; read x 0 4 -> r0; sync; write x 0 05000000; read x 0 4 -> r1",
)
"""Programs that use one thing twice, with one difference."""


@by_trial(FailureKind.STATISTICS, FailureKind.CRASH, follows_policy=True, without_faults=True)
def tell_elsewhere(evidence: Evidence, trials: Trials) -> Told:
    """Finds the first of ``_PROGRAMS`` with wrong bytes or a wrong error; tells what went wrong.

    Each runs under the policy of the case, then under ``lazy`` and ``ring``.
    """
    failure, fits = evidence.failure, evidence.fits
    said = " ".join((failure.reason, *(shown for _, shown in failure.sides), ""))
    is_small = any(words in said for words in _WORDS)
    if not (is_small and fits.indirect and fits.replays):
        return NOTHING
    wide = evidence.verdict.execution.limits.max_groups_per_dimension + 2
    plain, own = trials.plainly(), trials.case.policy
    for text in _PROGRAMS:
        ops = text.format(wide=wide)
        for policy in (own, PRESETS["lazy"], PRESETS["ring"]):
            judged = plain.having(policy=policy).run(ops.replace("; ", "\n") + "\n")
            if judged.failure is not None and judged.failure.kind in _SHOWN:
                name = "" if policy == own else f" under policy {policy.name}"
                return _of_other(evidence, trials, judged, f"other program{name}", ops)
    return NOTHING


def _of_other(evidence: Evidence, trials: Trials, judged: Verdict, name: str, ops: str) -> Told:
    """What went wrong in another program."""
    found = _refused(judged, trials)
    if found.sentence:
        facts = (*found.facts, f"the {name} is {ops}")
        return replace(found, sentence=f"in another program, {found.sentence}", facts=facts)
    # Before "; so " stands what is said of a broken law, and after it what is said of the bytes.
    said = evidence.argue(judged).sentence.rpartition("; so ")[2]
    return told(f"tried an{name}: {': '.join((*found.facts[:1], said))}; it is {ops}")


def _refused(judged: Verdict, trials: Trials) -> Told:
    """Tells what the first rightly refused op of a program did to the dispatches around it."""
    pairs = zip(judged.expected.outcomes, judged.execution.history.outcomes, strict=True)
    for at, (meant, got) in enumerate(pairs):
        if meant.error is not None and meant.error == got.error:
            found = taken_along(replace(trials, case=judged.execution.case), at)
            if not found.facts:
                return NOTHING
            op = f"op {at} ({write_op(judged.execution.case.program[at])})"
            first, *more = found.facts
            return replace(found, facts=(f"{op} raises {meant.error}, rightly; {first}", *more))
    return NOTHING


@by_trial(FailureKind.LAW)
def tell_shown(evidence: Evidence, trials: Trials) -> Told:
    """Puts a dispatch before the write or copy that breaks a law, and tells which mistake shows.

    A small program may write the bytes that stand there anyway, so that no read is wrong.  The
    dispatch changes these bytes first.
    """
    program, at, op = evidence.program, evidence.at, evidence.op
    if evidence.failure.trait not in _OF_BYTES or not isinstance(op, Write | Copy):
        return NOTHING
    name = op.buffer if isinstance(op, Write) else op.target
    size = sizes_of(program).get(name, 0)
    if size < WORD_BYTES:
        return NOTHING
    dispatch, (result,) = f"dispatch affine {name} 3,1 1x1x1", fresh_names(program, 1)
    judged = trials.run(
        f"{Program(program.ops[:at])}{dispatch}\n{write_op(op)}\nread {name} 0 {size} -> {result}\n"
    )
    if judged.failure is None or judged.failure.kind is not FailureKind.VALUE:
        return NOTHING
    sentence = evidence.argue(judged).sentence
    if UNEXPLAINED in sentence:
        return NOTHING
    return told(f"tried with {dispatch} as op {at}, and a read at the end: {sentence}")


def tell_alone(scene: Scene, trials: Trials) -> Told:
    """The first kernel of a user that gives other bytes in WGSL than in NumPy, run alone."""
    seen: set[str] = {*BUILTIN}
    for at, step in enumerate(scene.steps):
        if isinstance(step.op, AnyDispatch) and step.op.kernel not in seen:
            seen.add(step.op.kernel)
            said = _differs(scene, at, step.op, trials.plainly())
            if said:
                return Told(sentence=said, rule=KERNEL, culprit=step.number)
    return NOTHING


def _differs(scene: Scene, at: int, op: AnyDispatch, trials: Trials) -> str:
    """The first lane in which a kernel's WGSL and NumPy differ, in words; empty if none does."""
    try:
        verdict = trials.run(_lone(scene, at, op))
    except ProgramError:
        return ""
    failure = verdict.failure
    if failure is None or failure.kind is not FailureKind.VALUE or failure.byte is None:
        return ""
    read = verdict.execution.case.program[failure.position]
    meant, shown = sides(verdict)[failure.position]
    assert isinstance(read, Read)
    lane = failure.byte // WORD_BYTES
    place = slice(lane * WORD_BYTES, (lane + 1) * WORD_BYTES)
    came, due = (int.from_bytes((data or b"")[place], "little") for data in (shown, meant))
    return (
        f"kernel {op.kernel} alone: its WGSL and its NumPy differ in lane {lane} of {read.buffer}: "
        f"{came} came back, and NumPy gives {due}"
    )


def _lone(scene: Scene, at: int, op: AnyDispatch) -> str:
    """Writes of what the buffers hold at that step, the dispatch over them, and a read of each."""
    held = {name: scene.states[at].get(name, b"") for name in buffers_of(op)}
    made = "".join(f"alloc {name} {len(data)}\n" for name, data in held.items())
    writes = "".join(f"write {name} 0 {data.hex()}\n" for name, data in held.items() if data)
    reads = "".join(f"read {name} 0 {len(data)} -> {name}\n" for name, data in held.items())
    return f"{made}{writes}sync\n{write_op(op)}\n{reads}"


def explain_rewrite(
    verdict: Verdict, failure: Failure, again: Judge, argue: Argue
) -> Argument | None:
    """Why a case's rewrite fails when it runs by itself; None if it passes.

    The original passes by itself: otherwise the case would have failed before any comparison.
    """
    case = verdict.execution.case
    rewrite = transform(case.plain, case.transformations, verdict.execution.kernels)
    judged = again(rewrite.case.plain) if rewrite is not None else None
    if rewrite is None or judged is None or judged.failure is None:
        return None
    argument = argue(judged)
    words = "; ".join(each.description for each in case.transformations)
    own = {place for places in rewrite.places for place in places}
    program = rewrite.case.program
    new = [n for n in range(len(program)) if n not in own][:_MOST_OTHERS]
    inserted = [f"op {n} ({write_op(program[n])}) is not in the original program" for n in new]
    parts = (
        f"the results of the two programs first differ at op {failure.position} ({failure.op}) of "
        "the original"
    )
    return replace(
        argument,
        sentence=f"with {words}: {argument.sentence}",
        facts=(*argument.facts[:2], *inserted, parts),
    )
