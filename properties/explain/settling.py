"""Whether a runtime relies on the order in which maps settle, found by trial.

WebGPU leaves the order of maps open.  The layer between a target and its device settles maps in the
order of their calls in one run, and in the reverse order in another run.
"""

from random import Random

from gpusim.ops import Read
from properties.explain.kinds import UNEXPLAINED
from properties.explain.told import NOTHING, Told
from properties.explain.trials import Evidence, Trials, by_trial
from properties.model.disturbance import Disturbance
from properties.model.failure import Failure, FailureKind
from properties.oracles.laws.catalogue import Law

IN_ORDER, REVERSED = Disturbance(seed=5), Disturbance(seed=7)
"""Seeds with which the layer always settles the first of the waiting maps, or always the last.

This holds for the layer in every language.
"""
AT_RANDOM = [
    seed for seed in range(0, 360, 3) if Random(seed).choice(("any", "last", "first")) == "any"
]
"""Seeds with which the layer, in every language, draws at random which waiting map settles."""
_READS = 5
_ORDERS = 120
_FIVE = f"alloc x 20\nwrite x 0 {'01020304' * _READS}\n" + "".join(
    f"read x {4 * n} 4 -> five{n}\n" for n in range(_READS)
)
MAPS = Law(
    name="maps",
    sentence="they settle in any order among themselves; each says only that its own buffer is "
    "mapped",
    source='WebGPU specification, "Promise Ordering"',
)


@by_trial(without_faults=True)
def tell_settling(evidence: Evidence, trials: Trials) -> Told:
    """Whether the case fails because maps do not settle in the order of their calls.

    This is tried only for a runtime that is not ours, and a case with reads and no planned fault.
    """
    case, sentence = evidence.case, evidence.argument.sentence
    is_layered = case.disturbance is not None or case.device.is_simulated
    has_read = any(isinstance(op, Read) for op in case.program)
    if not case.follows_no_policy or not is_layered or not has_read or case.injected:
        return NOTHING
    if trials.having(disturbance=IN_ORDER).fails(case.program):
        return NOTHING
    other = trials.having(disturbance=REVERSED).run(case.program).failure
    if other is None or other.kind is not evidence.failure.kind:
        return NOTHING
    likeliest = _likeliest(sentence, evidence.failure, trials)
    known = sentence.removesuffix(UNEXPLAINED)
    return Told(
        sentence=f"the runtime relies on the order in which maps settle: {known}",
        rule=MAPS,
        facts=(
            "tried: it passes if maps settle in the order of their calls, and fails if the last "
            "one that was asked for settles first",
            *([likeliest] if likeliest else []),
        ),
    )


def _likeliest(sentence: str, failure: Failure, trials: Trials) -> str:
    """The likeliest mistake behind wrong bytes, or behind an error about a map; may be empty."""
    if failure.kind is FailureKind.VALUE:
        return (
            "every map gave its own bytes: likeliest the bytes of two reads, or of two parts of "
            "one read, are taken in the order in which they arrive"
        )
    if "map is pending" in sentence:
        return (
            "a staging buffer was used again before its own map had settled: likeliest the one "
            "that is longest in use was taken for the one whose map settled"
        )
    return _by_the_last(trials) if "if its mapped" in sentence else ""


def _by_the_last(trials: Trials) -> str:
    """Runs a program of five reads while maps settle at random: how often it passes is telling.

    If a sync waits for the fifth map alone, the program passes if that map settles last: 1 time in
    5.  If the runtime takes each map that settles for the oldest read's, the program passes only if
    all five maps settle in order, which is rarer.
    """
    fails = [trials.having(disturbance=Disturbance(seed=seed)).fails(_FIVE) for seed in AT_RANDOM]
    passed, count = fails.count(False), len(fails)
    tried = f"with five reads and maps that settle at random it passes {passed} of {count} times"
    if passed <= count / _READS / 2:
        return (
            f"{tried}; if a sync waited for the last map alone, it would pass 1 in {_READS} times: "
            "likeliest each map that settles, or a count of them, is taken for the map of the "
            "oldest read"
        )
    if passed >= 2 * count / _READS:
        return (
            "a staging buffer was read before its own map had settled: likeliest a map that "
            "settles, or a count of settled maps, is taken for the map of the read that waits "
            "longest, or for all earlier maps"
        )
    return (
        f"{tried}: about as often as the map that was asked for last settles last (1 in {_READS}); "
        f"all five settle in order 1 in {_ORDERS}. So likeliest a sync waits for the last map alone"
    )
