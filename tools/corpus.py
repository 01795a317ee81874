"""The corpus of fixed programs, and how the checkout that is imported judges them.

Programs stay text until a checkout reads them, so that two checkouts can be measured with the
same programs.  Imports are late for the same reason: ``import_from`` first says which checkout
they come from.  No clock is read here.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "benchmarks" / "corpus" / "programs.txt"
PACKAGES = ("gpusim", "reference", "properties")
SIMULATED = "simulated"
_MOST_NEW_OBJECTS = 50_000
"""As in a session's worker: the collector looks at that many new objects at a time."""
_BEGINNING = "gpusim finding 1\n"
_ASKED_OF_ANY = ("max_binding_bytes=", "max_groups_per_dimension=")
"""The words of a device's text that mean the same on every device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One program with its policy and its device, all as text."""

    device: str
    policy: str
    seed: str
    program: str

    def on(self, name: str) -> str:
        """The text of the entry's device, or of the device ``name`` under the entry's limits.

        Of the limits, ``name`` gets those that mean the same on every device.
        """
        if name == SIMULATED:
            return self.device
        return " ".join([name, *(w for w in self.device.split() if w.startswith(_ASKED_OF_ANY))])


@dataclass(frozen=True, kw_only=True, slots=True)
class Judging:
    """One program, read and ready to be judged again and again."""

    ops: int
    judge: Callable[[], None]
    """Judges the program; raises SystemExit with the failure's text if the program fails."""


def read() -> list[Entry]:
    """Every entry of the corpus, in its order."""
    _, *texts = CORPUS.read_text(encoding="utf-8").split(_BEGINNING)
    return [_parse(text) for text in texts]


def import_from(root: Path) -> None:
    """Let what is imported from here on come from the checkout in ``root``."""
    sys.path.insert(0, str(root.resolve()))
    for name in PACKAGES:
        found = Path(str(import_module(name).__file__)).resolve()
        if not found.is_relative_to(root.resolve()):
            raise SystemExit(
                f"cannot measure {root} because {name} is imported from {found.parent} "
                f"(probably {root} is no checkout)"
            )


def judgings(entries: Sequence[Entry], device: str) -> list[Judging]:
    """The entries on ``device``, each to be judged as in a session, with every law."""
    judge = _judge(device)
    return [_judging(entry, device, judge) for entry in entries]


def warm_up(judgings: Sequence[Judging]) -> None:
    """Judge everything once, and spare the garbage collector as a session's worker does."""
    for judging in judgings:
        judging.judge()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_NEW_OBJECTS)


def _judge(device: str) -> Callable[[Any], Any]:
    """Returns a function that judges a case as a session does."""
    from properties.oracles.judge import judge
    from properties.targets.factory import RuntimeFactory

    factory = RuntimeFactory(device)
    return lambda case: judge(case, factory).failure


def _judging(entry: Entry, device: str, judge: Callable[[Any], Any]) -> Judging:
    from gpusim.program import Program
    from gpusim.runtime.policy import parse_policy
    from properties.model.case import Case, parse_device

    case = Case(
        program=Program.parse(entry.program),
        policy=parse_policy(entry.policy),
        device=parse_device(entry.on(device)),
        seed=entry.seed,
    )

    def judge_it() -> None:
        failure = judge(case)
        if failure is not None:
            raise SystemExit(
                f"cannot measure the judge because program {entry.seed} fails on {case.device} "
                f"(probably the runtime is broken): {failure}"
            )

    return Judging(ops=len(case.program), judge=judge_it)


def _parse(text: str) -> Entry:
    headers, _, program = text.partition("\n\n")
    values = dict(line.split(": ", 1) for line in headers.splitlines())
    return Entry(program=program.strip() + "\n", **values)
