"""Mutation testing of the project's own source, on the simulated device.

    python -m tools.mutation run [PART ...] [--size 300] [--seed 1] [--seconds 20] [--again]
    python -m tools.mutation page

``run`` goes on where it was stopped; ``--again`` tries the survivors once more.  Its results go
to docs/data, and ``page`` writes docs/mutation.md from these and from the notes on survivors.
"""

import argparse
import os
import sys
from collections.abc import Iterable

# Before anything reads them: the same examples every time, and no device but the simulated one.
os.environ |= {"CI": "1", "GPUSIM_DEVICE": "simulated", "OPENBLAS_NUM_THREADS": "1"}

import hypothesis  # noqa: F401 - imported so that no fork has to
import numpy  # noqa: F401
import pytest  # noqa: F401
import rich  # noqa: F401
import wgpu  # noqa: F401

from tools.mutation import results, trial
from tools.mutation.mutant import ROOT, Mutant, draw
from tools.mutation.mutants import PARTS, change_of, digest_of, population
from tools.mutation.page import page, read_notes
from tools.mutation.results import Result, Sample
from tools.mutation.suite import Sight, look, looked_at, read_sight

KEPT = ROOT / "build" / "mutation"
"""The folder of results, so that a run can go on; remove it to begin anew."""
_LOOK_CPU_SECONDS = 1800
DATA = {part: ROOT / "docs" / "data" / f"mutation-{part}.json" for part in PARTS}
PAGE = ROOT / "docs" / "mutation.md"


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    options = _parser().parse_args(arguments)
    if options.command == "page":
        samples = {part: results.read(path) for part, path in DATA.items()}
        PAGE.write_text(page(samples, read_notes()), encoding="utf-8")
    else:
        for part in options.parts or PARTS:
            _run(part, options)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    run.add_argument("--size", type=int, default=300, help="mutants of each part")
    run.add_argument("--seed", type=int, default=1, help="which of them")
    run.add_argument("--seconds", type=float, default=20.0, help="of tests for each, at the most")
    run.add_argument("--again", action="store_true", help="try the survivors once more")
    commands.add_parser("page")
    return parser


def _run(part: str, options: argparse.Namespace) -> None:
    """Try the mutants that have no result yet; a result counts while its file is unchanged."""
    sight, kept = _sight(), KEPT / f"{part}.json"
    known = {
        result.digest: result
        for result in results.read(kept).results
        if result.killer is not None or not options.again
    }
    mutants = population(part)
    drawn = draw(mutants, options.size, options.seed)
    print(f"{part}: {len(drawn)} of {len(mutants)} mutants", flush=True)

    def sample_of(tried: Iterable[Result]) -> Sample:
        done = tuple(tried)
        killed = sum(result.killer is not None for result in done)
        return Sample(
            population=len(mutants),
            seed=options.seed,
            killed_at_first=results.read(DATA[part]).killed_at_first if options.again else killed,
            results=done,
        )

    for mutant in drawn:
        digest = digest_of(mutant)
        if digest not in known:
            known[digest] = _try(mutant, sight, options.seconds)
            results.write(kept, sample_of(known.values()))
    sample = sample_of(known[digest_of(mutant)] for mutant in drawn)
    results.write(DATA[part], sample)
    print(f"{part}: {sample.killed} of {len(drawn)} killed", flush=True)


def _try(mutant: Mutant, sight: Sight, seconds: float) -> Result:
    outcome = trial.try_mutant(mutant, sight.tests_of(mutant, seconds))
    result = Result(
        name=mutant.name,
        function=mutant.function,
        line=mutant.first_line,
        change=change_of(mutant),
        digest=digest_of(mutant),
        killer=outcome.killer,
        seconds=outcome.seconds,
    )
    print(f"{mutant.name} {mutant.function}: {result.killer or 'ALIVE'} ({result.seconds} s)")
    if result.killer is None:
        print(result.change)
    sys.stdout.flush()
    return result


def _sight() -> Sight:
    """What the tests reach; it is looked for anew once a source or a test has changed."""
    path = KEPT / f"sight-{results.digest_of_files(looked_at())}.json"
    if not path.exists():
        for stale in KEPT.glob("sight*.json"):
            stale.unlink()
        # In a fork, since it imports the project.
        outcome = trial.in_child(lambda: look().write(path), most_cpu_seconds=_LOOK_CPU_SECONDS)
        if not path.exists():
            raise SystemExit(f"cannot see which test reaches what: {outcome.killer}")
    return read_sight(path)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
