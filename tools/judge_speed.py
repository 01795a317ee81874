"""How fast two checkouts judge the same programs, side by side.

    python -m tools.judge_speed --before DIR --after DIR [--rounds N] [--device NAME]...

Each checkout needs its own ``.venv``.  A round judges the whole corpus in one process of each
checkout, first of ``--before`` (A) and then of ``--after`` (B); the next round goes B A, and so on.
What counts is CPU time, all threads together, of judging alone: each process first judges every
program once unmeasured, so that kernels are compiled and caches warm.  A ratio above 1 says that
``--after`` is the faster one; its spread over the rounds says how far to trust it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

from tools import corpus

_DEVICES = (corpus.SIMULATED, "vulkan")
_COLUMNS = "{:<10} {:>5}  {:<5} {:>14} {:>14} {:>7}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one process judged."""

    ops: int
    cpu_seconds: float

    @property
    def ops_per_second(self) -> float:
        return self.ops / self.cpu_seconds


def main(arguments: Sequence[str]) -> int:
    """Measure and print; with ``--only``, as a round's processes run it, measure one checkout."""
    asked = _parser().parse_args(arguments)
    if asked.only is not None:
        print(json.dumps(asdict(_measure(asked.only, asked.device[0], asked.passes))))
        return 0
    if asked.before is None or asked.after is None:
        print(__doc__, file=sys.stderr)
        return 2
    print(_COLUMNS.format("device", "round", "order", "before (ops/s)", "after (ops/s)", "ratio"))
    for device in asked.device or _DEVICES:
        _compare([asked.before, asked.after], device, asked.rounds, asked.passes)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.judge_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=Path, metavar="DIR", help="the checkout to compare with")
    parser.add_argument("--after", type=Path, metavar="DIR", help="the checkout to compare")
    parser.add_argument("--rounds", type=int, default=12, metavar="N", help="12 by default")
    parser.add_argument(
        "--passes",
        type=int,
        default=2,
        metavar="N",
        help="how often a process judges the corpus; 2 by default",
    )
    parser.add_argument(
        "--device",
        action="append",
        metavar="NAME",
        help=f"{' and '.join(_DEVICES)} by default; may be given again",
    )
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    return parser


def _compare(checkouts: Sequence[Path], device: str, rounds: int, passes: int) -> None:
    """Print a line a round, then the medians."""
    rates: list[list[float]] = [[], []]
    for number in range(rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        for which in order:
            rates[which].append(_in_process(checkouts[which], device, passes).ops_per_second)
        before, after = rates[0][-1], rates[1][-1]
        shown = "".join("AB"[which] for which in order)
        _print_row(device, str(number + 1), shown, before, after, after / before)
    ratios = [after / before for before, after in zip(*rates, strict=True)]
    before, after = map(statistics.median, rates)
    low, median, high = _quartiles(ratios)
    _print_row(device, "all", "", before, after, median)
    print(
        f"{device}: ratio {median:.3f}, the median of {rounds}; half of them are within "
        f"{low:.3f} and {high:.3f}, all within {min(ratios):.3f} and {max(ratios):.3f}",
        flush=True,
    )


def _quartiles(numbers: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; of one number, that number."""
    if len(numbers) == 1:
        return numbers[0], numbers[0], numbers[0]
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return low, median, high


def _print_row(
    device: str, number: str, order: str, before: float, after: float, ratio: float
) -> None:
    shown = f"{before:,.0f}", f"{after:,.0f}", f"{ratio:.3f}"
    print(_COLUMNS.format(device, number, order, *shown), flush=True)


def _in_process(root: Path, device: str, passes: int) -> Measured:
    """What the checkout in ``root`` shows, in a process of its own Python."""
    python = (root / ".venv" / "bin" / "python").absolute()
    only = ["--only", str(root.resolve()), "--device", device, "--passes", str(passes)]
    done = subprocess.run(
        [python, "-W", "ignore", "-m", "tools.judge_speed", *only],
        cwd=corpus.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _measure(root: Path, device: str, passes: int) -> Measured:
    """The corpus judged ``passes`` times by the checkout in ``root``."""
    corpus.import_from(root)
    judgings = corpus.judgings(corpus.read(), device)
    corpus.warm_up(judgings)
    start = process_time()
    for _ in range(passes):
        for judging in judgings:
            judging.judge()
    cpu_seconds = process_time() - start
    return Measured(ops=passes * sum(judging.ops for judging in judgings), cpu_seconds=cpu_seconds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
