"""The oracles by name: who may find a mutant, and which of them look at which part.

Those of the runtime are the reference, the laws over the trace, the relations
and the contract under faults.  What the judge itself is made of has three more: a
comparison is given histories that were corrupted by hand, the laws traces, and a
reducer cases whose smallest form is known.
"""

from gpusim.kernels import Kernels
from properties.case import Case
from properties.mutants.faults_oracle import FAULTS, Failing, draw_faults
from properties.mutants.judge_oracles import CORRUPTION, REDUCTION
from properties.mutants.law_sight import SIGHT
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.oracles.laws import Marks, Setting, check
from properties.oracles.metamorphic import Executor, Violation, draw_transformations, signature
from properties.oracles.metamorphic import judge as judge_relation
from properties.programs.choices import SeededChoices
from properties.runner import run
from properties.session.limits import case_limits
from properties.session.subject import RuntimeSubject
from properties.session.verdict import Failure, judge

_FAILING_CASES = 4
"""One case in so many is held against the laws on a driver that fails."""


def subject_of(mutant: Mutant, device: str, kernels: Kernels) -> RuntimeSubject:
    """What opens a target with the mutant in it for each case."""
    return RuntimeSubject(device, kernels, parts=mutant.parts, make_driver=mutant.make_driver)


def _open_reference(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    subject = subject_of(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        found = judge(case, subject, kernels, reference=mutant.reference, compare=mutant.compare)
        return found.failure

    return judged


def _open_laws(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    failing = Failing(mutant, device, kernels)
    subject = failing.subject

    def judged(case: Case) -> Failure | None:
        # Some laws are about failures alone.
        fails = SeededChoices(f"laws {case.seed}").chance(1, _FAILING_CASES)
        failing.plan = draw_faults(case.seed) if fails else ()
        opened = subject.open(case)
        marks = Marks(opened.trace)
        run(case.program, opened.target, watch=marks)
        marks.closing()
        try:
            opened.target.close()
        except Exception:
            # What a close may raise is the reference's business; the trace is whole either way.
            return None
        marks.closed()
        limits = case_limits(subject.limits, case)
        setting = Setting(policy=case.policy, kernels=kernels, limits=limits)
        broken = check(opened.trace, setting).violations
        if not broken:
            return None
        return Failure(kind="law", trait=broken[0].law.name, text=str(broken[0]))

    return judged


def _open_relations(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    executor = Executor(subject_of(mutant, device, kernels))

    def judged(case: Case) -> Failure | None:
        choices = SeededChoices(f"relations {case.seed}")
        drawn = draw_transformations(choices, case, kernels=kernels)
        violation: Violation | None = judge_relation(case, drawn, executor, kernels)
        if violation is None:
            return None
        trait = "/".join(signature(drawn, violation))
        return Failure(kind="relation", trait=trait, text=str(violation))

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
