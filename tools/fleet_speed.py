"""How fast ``gpusim fuzz --fleet local`` is beside ``--workers``: programs a second of each.

    python -m tools.fleet_speed [--rounds N] [--programs N] [--block N] [--workers N]

The two take turns.  Only the time in which every process runs blocks counts: from when each has run
its first one, until one has run its last.  The workers of ``--workers`` share each block, so their
blocks are as many times larger as there are workers.  A ratio above 1 says that the fleet is the
faster one.

On a busy machine the ratio says little: Linux shares processors among sessions of processes, and
each process of Ray is a session.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from properties.fuzz.union import Step, union

_COLUMNS = "{:>5}  {:<5} {:>14} {:>12} {:>7}"


def main(words: Sequence[str]) -> int:
    """Measure and print."""
    asked = _parser().parse_args(words)
    ratios = []
    print(_COLUMNS.format("round", "order", "--workers (/s)", "--fleet (/s)", "ratio"))
    for number in range(asked.rounds):
        order = ("workers", "fleet")[:: -1 if number % 2 else 1]
        speeds = {arm: _ARMS[arm](asked) for arm in order}
        ratios.append(speeds["fleet"] / speeds["workers"])
        shown = [f"{speeds[arm]:.1f}" for arm in ("workers", "fleet")]
        initials = "".join(arm[0].upper() for arm in order)
        print(_COLUMNS.format(number + 1, initials, *shown, f"{ratios[-1]:.3f}"), flush=True)
    median, least, most = statistics.median(ratios), min(ratios), max(ratios)
    print(f"fleet to workers: {median:.3f} ({least:.3f} to {most:.3f})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    numbers = {"rounds": 5, "programs": 3000, "block": 250, "workers": 2}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    parser.add_argument("--device", default="simulated", metavar="NAME")
    return parser


def _steps(asked: argparse.Namespace, block: int, *more: str) -> Sequence[Step]:
    """The blocks of a session; CalledProcessError if it found something, or could not run."""
    with tempfile.TemporaryDirectory() as name:
        words = [f"--{each}={getattr(asked, each)}" for each in ("device", "programs", "workers")]
        corpus = Path(name, "corpus")
        words += [f"--block={block}", f"--corpus={corpus}", f"--save={Path(name, 'found')}"]
        command = [sys.executable, "-m", "gpusim", "fuzz", "--quiet", *words, *more]
        subprocess.run(command, check=True)
        return union([corpus]).steps


def _workers(asked: argparse.Namespace) -> float:
    return speed(_steps(asked, asked.block * asked.workers), 1)


def _fleet(asked: argparse.Namespace) -> float:
    return speed(_steps(asked, asked.block, "--fleet=local"), asked.workers)


def speed(steps: Sequence[Step], places: int) -> float:
    """Programs a second, from when all places end their first block until one ends its last."""
    first = sorted(steps, key=lambda step: step.began)[:places]
    start = max(step.ended for step in first)
    end = sorted(step.ended for step in steps)[-places]
    if end <= start:
        raise SystemExit(
            "cannot compare speeds because there are too few blocks (probably --programs is too "
            "small)"
        )
    programs = sum(
        step.programs * max(0.0, min(step.ended, end) - max(step.began, start))
        / (step.ended - step.began)
        for step in steps
    )  # fmt: skip
    return programs / (end - start)


_ARMS = {"workers": _workers, "fleet": _fleet}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
