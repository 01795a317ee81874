"""Material for reading findings blind: what a session says of a mistake, without its name.

    python -m tools.blind --out DIR --mutants 40 --foreign 10 --seed 1

The seed alone draws the mistakes: of each family of mutants at least two, and runtimes of others
with one mistake each.  Each becomes a target of its own, named by a number.  A session judges it
until its first finding, and ``gpusim explain`` writes the page.

    DIR/lines/NN.txt    what the session printed
    DIR/pages/NN.html   the page
    DIR/answers.json    NN: the name, the family, the place, and what is wrong by its own docstring

Nothing here finds or explains anything itself.  A mistake is listed as passed over if it is not
found within the budget, if its finding passes by itself, or if a text for the reader has its name.
The next mistake drawn takes its number.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from inspect import getdoc
from itertools import chain, groupby
from pathlib import Path
from random import Random

from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.mutant import Mutant
from properties.mutants.oracles import FAULTS
from properties.targets.factory import RuntimeFactory
from tests.judge.foreign import DEFECTS
from tests.layer.hidden import PAIRS

ROOT = Path(__file__).resolve().parent.parent
_JUDGES = "reference"
"""The family of mutants in which the runtime is right and the judge is wrong."""
_EACH = 2
_FOUND = 1
_BUDGET = ("--programs", "2000", "--findings", "1", "--seed", "1")
"""There is no limit of time, so that what is found does not depend on the machine."""
_DEVICE = ("--device", "simulated")
_JOBS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """One mistake: what is wrong, and how a session meets it."""

    name: str
    family: str
    place: str
    wrong: str
    """What is wrong, in the words of its own declaration."""
    source: str
    """The text of a Python file in which ``Target`` has the mistake."""
    options: tuple[str, ...] = ()


def mutant_target(name: str) -> partial[RuntimeFactory]:
    """Makes factories of our runtime with that mutant in it."""
    found = find(name)
    return partial(
        RuntimeFactory,
        parts=found.parts,
        make_driver=found.make_driver,
        make_runtime=found.make_runtime,
    )


def mutants(seed: int) -> list[list[Mistake]]:
    """The mutants of runtime and device in the order in which the seed draws them, by family."""
    known = [each for each in MUTANTS if not each.rare and _family(each) != _JUDGES]
    known.sort(key=lambda each: (_family(each), each.name))
    families = []
    for family, members in groupby(known, key=_family):
        drawn = [_of_mutant(each) for each in members]
        Random(f"{seed} {family}").shuffle(drawn)
        families.append(drawn)
    return families


def foreign(seed: int) -> list[Mistake]:
    """The runtimes of others in the order in which the seed draws them."""
    drawn = [
        Mistake(
            name=name,
            family="foreign",
            place="tests/judge/foreign.py",
            wrong=wrong,
            source=f"from tests.judge import foreign\n\nTarget = foreign.{name}\n",
        )
        for name, wrong in DEFECTS.items()
    ]
    for name, (_, broken) in PAIRS.items():
        drawn.append(
            Mistake(
                name=name,
                family="foreign",
                place="tests/layer/hidden.py",
                wrong=" ".join((getdoc(broken) or "").split()),
                source=f"from tests.layer.hidden import {broken.__name__} as Target\n",
                options=("--adversary",),
            )
        )
    Random(f"{seed} foreign").shuffle(drawn)
    return drawn


def _family(mutant: Mutant) -> str:
    return mutant.place.partition(":")[0]


def _of_mutant(mutant: Mutant) -> Mistake:
    source = f"from tools.blind import mutant_target\n\nTarget = mutant_target({mutant.name!r})\n"
    return Mistake(
        name=mutant.name,
        family=_family(mutant),
        place=mutant.place,
        wrong=mutant.description,
        source=source,
        options=("--faults",) if mutant.found_by == FAULTS.name else (),
    )


class Reading:
    """The folder of one reading, and the answers to it so far."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, dict[str, str]] = {}
        self.passed_over: list[str] = []
        self._folder = folder
        for name in ("targets", "findings", "lines", "pages"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def fill(self, numbers: Iterable[int], drawn: Iterator[Mistake]) -> list[int]:
        """Give each number the next mistake that is found.  Returns the numbers left over."""
        left = list(numbers)
        for mistake in drawn if left else ():
            if not self._shows(f"{left[0]:02}", mistake):
                self.passed_over.append(mistake.name)
                continue
            del left[0]
            if not left:
                break
        return left

    def _shows(self, number: str, mistake: Mistake) -> bool:
        """Judge and explain a mistake.  Returns whether it was found, and no text has its name."""
        target, found = self._folder / "targets" / f"{number}.py", self._folder / "findings"
        page = self._folder / "pages" / f"{number}.html"
        target.write_text(mistake.source, encoding="utf-8")
        place = ("--target", f"{target}:Target")
        saved = found / number
        options = (*_BUDGET, *_DEVICE, *mistake.options, "--save", str(saved))
        done = _gpusim("fuzz", *place, *options)
        files = sorted(saved.glob("*.txt"))
        if done.returncode != _FOUND or len(files) != 1:
            return False
        _gpusim("explain", str(files[0]), *place, "--html", str(page))
        if not page.exists():
            # The finding depends on the programs before it, so it passes by itself.
            return False
        if "_" in mistake.name and mistake.name in done.stdout + page.read_text(encoding="utf-8"):
            # A name of one word may be an ordinary word there.
            files[0].unlink()
            return False
        (self._folder / "lines" / f"{number}.txt").write_text(done.stdout, encoding="utf-8")
        self.answers[number] = {
            "name": mistake.name,
            "family": mistake.family,
            "place": mistake.place,
            "wrong": mistake.wrong,
        }
        print(f"{number}: {mistake.family}, {mistake.name}", flush=True)
        return True


def _gpusim(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpusim", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def collect(folder: Path, *, mutant_count: int, foreign_count: int, seed: int) -> Reading:
    """Write a reading of so many mutants and foreign runtimes to ``folder``."""
    reading, families = Reading(folder), list(map(iter, mutants(seed)))
    numbers = list(range(1, mutant_count + foreign_count + 1))
    Random(f"{seed} numbers").shuffle(numbers)
    parts = [numbers[at : at + _EACH] for at in range(0, mutant_count, _EACH)][: len(families)]
    drawn = [*families[: len(parts)], iter(foreign(seed))]
    with ThreadPoolExecutor(_JOBS) as pool:
        left = list(pool.map(reading.fill, [*parts, numbers[mutant_count:]], drawn))
    rest = list(chain(*families))
    Random(f"{seed} rest").shuffle(rest)
    more = numbers[sum(map(len, parts)) : mutant_count]
    reading.fill([*chain(*left[:-1]), *more], iter(rest))
    return reading


def main() -> None:
    """Write a reading, and its answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--mutants", type=int, default=40, help="at least two of each family")
    parser.add_argument("--foreign", type=int, default=10, help="runtimes of others")
    parser.add_argument("--seed", type=int, default=1, help="draws the mistakes")
    asked = parser.parse_args()
    reading = collect(
        asked.out.resolve(),
        mutant_count=asked.mutants,
        foreign_count=asked.foreign,
        seed=asked.seed,
    )
    text = json.dumps(dict(sorted(reading.answers.items())), indent=2)
    (asked.out / "answers.json").write_text(f"{text}\n", encoding="utf-8")
    print(
        f"{len(reading.answers)} written; passed over: {', '.join(reading.passed_over) or 'none'}"
    )


if __name__ == "__main__":
    main()
