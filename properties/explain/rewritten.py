"""Explains a relation: two programs that must give the same results, and give different ones.

One of them may fail by itself.  Then its own argument tells why, and names what was changed.
"""

from collections.abc import Callable
from dataclasses import replace

from gpusim.text import write_op
from properties.explain.argument import Argument
from properties.explain.experiments import Judge
from properties.model.failure import Failure
from properties.oracles.judge import Verdict
from properties.oracles.metamorphic.relations import transform

_MOST_OTHERS = 2


def explain_rewrite(
    verdict: Verdict, failure: Failure, again: Judge, explain: Callable[[Verdict, Judge], Argument]
) -> Argument | None:
    """Why the changed program of a relation, or the program itself, fails; None if both pass.

    ``explain`` gives the argument for one failing program.
    """
    case, kernels = verdict.execution.case, verdict.execution.kernels
    rewrite = transform(case.plain, case.transformations, kernels)
    if rewrite is None:
        return None
    words = "; ".join(each.description for each in case.transformations)
    judged = again(rewrite.case.plain)
    if judged.failure is None:
        judged = again(case.plain)
        if judged.failure is None:
            return None
        argument = explain(judged, again)
        return replace(argument, passes=(f"with {words}", *argument.passes)[:_MOST_OTHERS])
    argument = explain(judged, again)
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
