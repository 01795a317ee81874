"""A broken law of bytes that shows in no value, and a longer program in which it shows.

A program that was made small may write everywhere the bytes that stand there anyway.  So the law
sees wrong bytes, and no read does.
"""

from collections.abc import Callable
from dataclasses import replace

from gpusim.limits import WORD_BYTES
from gpusim.ops import Copy, Dispatch, Read, Write
from gpusim.program import Program
from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.experiments import Judge
from properties.explain.kinds import UNEXPLAINED
from properties.explain.told import NOTHING, Told
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict
from properties.oracles.laws import catalogue as laws
from properties.oracles.metamorphic.rewrites import fresh_names, sizes_of

_OF_BYTES = (laws.A5.name, laws.A8.name, laws.A9.name)


def tell_shown(
    verdict: Verdict, failure: Failure, again: Judge | None, argue: Callable[[Verdict], Argument]
) -> Told:
    """The mistake that explains the bytes, if a dispatch before the op changes the buffer.

    ``argue`` explains a failing program by itself, without more trials.
    """
    program, at = verdict.execution.case.program, failure.position
    op = program[at] if 0 <= at < len(program) else None
    if again is None or failure.kind is not FailureKind.LAW or failure.trait not in _OF_BYTES:
        return NOTHING
    if not isinstance(op, Write | Copy):
        return NOTHING
    name = op.buffer if isinstance(op, Write) else op.target
    size = sizes_of(program).get(name, 0)
    if size < WORD_BYTES:
        return NOTHING
    dispatch = Dispatch(kernel="affine", buffers=(name,), scalars=(3, 1), grid=(1, 1, 1))
    (result,) = fresh_names(program, 1)
    read = Read(buffer=name, offset=0, size_bytes=size, result=result)
    longer = Program((*program.ops[:at], dispatch, op, read))
    judged = again(replace(verdict.execution.case, program=longer, transformations=()))
    shown = judged.failure
    if shown is None or shown.kind is not FailureKind.VALUE:
        return NOTHING
    sentence = argue(judged).sentence
    if UNEXPLAINED in sentence:
        return NOTHING
    fact = f"tried with {write_op(dispatch)} as op {at}, and a read at the end: {sentence}"
    return Told(facts=(fact,))
