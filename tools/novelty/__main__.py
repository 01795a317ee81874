"""Time to find the catalogue's mutants: fresh programs alone, and with children of kept ones.

    python -m tools.novelty --seeds N [N ...] [--programs 3000] [--only NAME ...] [--hard 200]

There are three streams of programs a seed.  ``fresh`` has those of a session.  In ``novel`` every
other program is a child of one whose trace on the sound runtime reached a new state.  In ``random``
it is a child of any of the last programs.  Each mutant's own oracle hunts it over each stream.
``--hard`` takes only mutants that need so many fresh programs, in the geometric mean of seeds 1
and 2; so choose other seeds to measure.  A hunt without a find counts twice.  A child that the
sound runtime fails is replaced by the fresh program.
"""

import argparse
import math
import random
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN
from properties.execute import execute
from properties.generate.choices import SeededChoices
from properties.model.case import Case
from properties.mutants.hunt import Programs
from properties.mutants.mistakes import MUTANTS
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import PATIENCE_SECONDS, factory_of, oracles_for, within
from properties.oracles.judge import MEANING_ONLY, judge
from tools.novelty.children import MOST_OPS, child
from tools.novelty.kept import Kept

FRESH, NOVEL, RANDOM = "fresh", "novel", "random"
_ENOUGH_KEPT = 20
_CHOSEN_ON = (1, 2)
_DRAWS, _TAIL = 2000, 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Hunt:
    """What a mutant took over one stream."""

    found: bool
    programs: int
    ops: int
    seconds: float


Hunts = dict[tuple[str, int, str], Hunt]
"""By mutant, seed and stream."""


def stream(name: str, seed: int, count: int, made: Programs) -> list[Case]:
    """The first programs of one stream."""
    fresh = [made.case(seed, number) for number in range(count)]
    if name == FRESH:
        return fresh
    factory = factory_of(SOUND, SIMULATED, BUILTIN)
    kept = Kept(all_programs=name == RANDOM)
    cases: list[Case] = []
    for number, case in enumerate(fresh):
        text = f"{seed}/{number}"
        choices = SeededChoices(f"novel {text}")
        if len(kept.cases) >= _ENOUGH_KEPT and choices.chance(1, 2):
            case = child(choices, kept.pick, number, text, factory.limits) or case
        cases.append(case)
        if len(case.program) <= MOST_OPS:
            kept.offer(case, () if name == RANDOM else execute(case, factory).trace)
    pairs = zip(cases, fresh, strict=True)
    return [
        case if case is other or judge(case, factory, MEANING_ONLY).failure is None else other
        for case, other in pairs
    ]


def hunt(mutant: Mutant, cases: Sequence[Case]) -> Hunt:
    """Run the cases until the mutant's own oracle sees it."""
    judged = within(PATIENCE_SECONDS, oracles_for(mutant)[0].open(mutant, SIMULATED, BUILTIN))
    start, ops, programs, found = time.process_time(), 0, 0, False
    while not found and programs < len(cases):
        case = cases[programs]
        programs += 1
        ops += len(case.program)
        found = judged(case) is not None
    return Hunt(found=found, programs=programs, ops=ops, seconds=time.process_time() - start)


def measure(
    mutants: Sequence[Mutant], seeds: Sequence[int], streams: Sequence[str], count: int
) -> Hunts:
    """Hunt each mutant over each stream; a line a hunt."""
    hunts: Hunts = {}
    for seed in seeds:
        made = Programs(SIMULATED)
        for name in streams:
            cases = stream(name, seed, count, made)
            for mutant in mutants:
                one = hunts[mutant.name, seed, name] = hunt(mutant, cases)
                what = one.programs if one.found else "-"
                print(f"{seed} {name} {mutant.name}: {what}", flush=True)
    return hunts


def table(hunts: Hunts, name: str) -> str:
    """A line for each measure: the ratio of a stream to the fresh one, in the geometric mean."""
    lines = []
    measures: Mapping[str, Callable[[Hunt], float]] = {
        "programs": lambda one: one.programs,
        "ops": lambda one: one.ops,
        "CPU seconds": lambda one: max(one.seconds, 1e-3),
    }
    keys = [(mutant, seed) for mutant, seed, which in hunts if which == name]
    for what, of in measures.items():
        ratios: dict[str, list[float]] = {}
        for mutant, seed in keys:
            pair = [hunts[mutant, seed, which] for which in (name, FRESH)]
            ours, theirs = [of(one) * (1 if one.found else 2) for one in pair]
            ratios.setdefault(mutant, []).append(math.log(ours / theirs))
        low, mean, high = (math.exp(one) for one in _spread([*ratios.values()]))
        lines.append(f"| {name} | {what} | {mean:.2f} | {low:.2f} to {high:.2f} |")
    found = [
        sum(hunts[mutant, seed, which].found for mutant, seed in keys) for which in (FRESH, name)
    ]
    return "\n".join([f"{name}: found {found[1]} of {len(keys)}, fresh {found[0]}", *lines])


def _spread(logs: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """The mean over mutants, and an interval around it: 95 percent, drawn over the mutants."""
    means = [sum(each) / len(each) for each in logs]
    choose = random.Random(1)
    drawn = sorted(sum(choose.choices(means, k=len(means))) / len(means) for _ in range(_DRAWS))
    return drawn[_TAIL], sum(means) / len(means), drawn[-_TAIL - 1]


def _hard(mutants: Sequence[Mutant], least: int, count: int) -> list[Mutant]:
    hunts = measure(mutants, _CHOSEN_ON, (FRESH,), count)

    def needed(mutant: Mutant) -> float:
        ones = [hunts[mutant.name, seed, FRESH] for seed in _CHOSEN_ON]
        logs = [math.log(one.programs * (1 if one.found else 2)) for one in ones]
        return math.exp(sum(logs) / len(logs))

    return [mutant for mutant in mutants if needed(mutant) >= least]


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.novelty",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="N")
    parser.add_argument("--programs", type=int, default=3000, metavar="N", help="3000 by default")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants")
    parser.add_argument("--hard", type=int, metavar="N", help="mutants that need so many programs")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    mutants = [one for one in MUTANTS if asked.only is None or one.name in asked.only]
    if asked.hard:
        mutants = _hard(mutants, asked.hard, asked.programs)
    hunts = measure(mutants, asked.seeds, (FRESH, NOVEL, RANDOM), asked.programs)
    print(f"{len(mutants)} mutants, seeds {asked.seeds}")
    print("| stream | measure | ratio to fresh | 95 percent |\n|---|---|---|---|")
    print(table(hunts, NOVEL), table(hunts, RANDOM), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
