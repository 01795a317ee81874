"""The oracles by name: who may find a mutant, and which of them look at which part.

Those of the runtime are the reference, the laws over the trace, the relations
and the contract under faults.  What the judge itself is made of has three more: a
comparison is given histories that were corrupted by hand, the laws traces, and a
reducer cases whose smallest form is known.
"""

from dataclasses import replace

from gpusim.kernels import Kernels
from properties.execute import execute
from properties.generate.choices import SeededChoices
from properties.model.case import Case
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.mutants.faults_oracle import FAULTS, Failing, draw_faults
from properties.mutants.judge_oracles import CORRUPTION, REDUCTION
from properties.mutants.law_sight import SIGHT
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.oracles.judge import MEANING_ONLY, judge, setting_of
from properties.oracles.laws import check
from properties.oracles.metamorphic import draw_transformations, judge_relations, signature
from properties.targets.factory import RuntimeFactory

_FAILING_CASES = 4
"""One case in so many is held against the laws on a driver that fails."""


def factory_of(mutant: Mutant, device: str, kernels: Kernels) -> RuntimeFactory:
    """What opens a target with the mutant in it for each case."""
    return RuntimeFactory(device, kernels, parts=mutant.parts, make_driver=mutant.make_driver)


def _open_reference(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)
    oracles = replace(MEANING_ONLY, reference=mutant.reference, compare=mutant.compare)
    return lambda case: judge(case, factory, oracles).failure


def _open_laws(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    failing = Failing(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        # Some laws are about failures alone.
        fails = SeededChoices(f"laws {case.seed}").chance(1, _FAILING_CASES)
        failing.plan = draw_faults(case.seed) if fails else ()
        execution = execute(case, failing.factory)
        if execution.close_error is not None:
            # What a close may raise is the reference's business.
            return None
        violations = check(execution.trace, setting_of(execution)).violations
        return violations[0] if violations else None

    return judged


def _open_relations(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = factory_of(mutant, device, kernels)

    def again(case: Case) -> Execution:
        return execute(case, factory)

    def judged(case: Case) -> Failure | None:
        choices = SeededChoices(f"relations {case.seed}")
        drawn = draw_transformations(choices, case, kernels=kernels)
        if not drawn:
            return None
        original = execute(replace(case, transformations=drawn), factory)
        failure = judge_relations(original, again)
        if failure is None:
            return None
        return replace(failure, trait="/".join(signature(drawn, failure)))

    return judged


REFERENCE = Oracle(name="reference", open=_open_reference)
LAWS = Oracle(name="laws", open=_open_laws)
RELATIONS = Oracle(name="relations", open=_open_relations)
ORACLES = (REFERENCE, LAWS, RELATIONS, FAULTS, CORRUPTION, SIGHT, REDUCTION)
_OF_THE_JUDGE = (CORRUPTION.name, SIGHT.name, REDUCTION.name)


def oracles_for(mutant: Mutant) -> tuple[Oracle, ...]:
    """Those that look at the part which the mutant breaks; its own prey first."""
    if mutant.prey in _OF_THE_JUDGE:
        looking: tuple[Oracle, ...] = tuple(one for one in ORACLES if one.name == mutant.prey)
    elif mutant.reference is not SOUND.reference:
        looking = (REFERENCE,)
    else:
        looking = (REFERENCE, LAWS, RELATIONS, FAULTS)
    return tuple(sorted(looking, key=lambda oracle: oracle.name != mutant.prey))
