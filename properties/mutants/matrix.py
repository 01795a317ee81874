"""The kill matrix: every mutant against every oracle that looks at its part, over several seeds.

A mutant's own oracle is the one that is sure to find the mutant.  It gets the whole budget on every
seed, and its find on the first seed is shrunk.  The other oracles try only the first seed, with few
programs.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from properties.mutants.hunt import Budget, Hunt, Programs, hunt, replays
from properties.mutants.mistakes import find
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import LAWS, ORACLES, Oracle, oracles_for

OWN = Budget(programs=4000, seconds=90.0, shrink_seconds=20.0)
OTHERS = Budget(programs=30, seconds=1.5, shrink_seconds=0.0)
_RARE_FACTOR = 5
"""The factor on the budget of a ``rare`` mutant."""
CONTROL = Budget(programs=100, seconds=30.0, shrink_seconds=0.0)
HARD_PROGRAMS = 100
"""A mutant that survives this many random programs is hard."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One mutant: the hunts of its own oracle, one for each seed, and those of other oracles."""

    mutant: Mutant
    own: tuple[Hunt, ...]
    others: tuple[Hunt, ...] = ()
    replayed: bool = True
    """False if the case found on the first seed, once read from its file, did not fail every time,
    or failed without the mutant too."""

    @property
    def killed(self) -> bool:
        """Whether its own oracle found it on every seed."""
        return all(hunt.killed for hunt in self.own)

    @property
    def programs(self) -> float:
        """The median over the seeds: programs until the kill, or until the budget was used up."""
        return median(hunt.programs for hunt in self.own)

    @property
    def seconds(self) -> float:
        """The median of the CPU seconds that these programs took, without shrinking."""
        return median(hunt.seconds for hunt in self.own)

    @property
    def shrunk_ops(self) -> int | None:
        """The number of ops of the smallest program; None if the first seed did not find it."""
        return self.own[0].shrunk_ops

    @property
    def survived_hundred(self) -> bool:
        """Whether the mutant survived a hundred programs on the median seed."""
        return self.programs > HARD_PROGRAMS

    def hunt_of(self, oracle: str) -> Hunt | None:
        """The hunt of the oracle of that name on the first seed; None if there was no hunt."""
        return next((one for one in (*self.own, *self.others) if one.oracle == oracle), None)


@dataclass(kw_only=True, slots=True)
class Matrix:
    """The rows, and the false alarms: hunts in which an oracle found the sound runtime wrong."""

    device: str
    seeds: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    false_alarms: list[Hunt] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every mutant was found, every find replays, and the sound runtime passed."""
        return not self.false_alarms and all(row.killed and row.replayed for row in self.rows)


Watch = Callable[[Row], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The device, seeds and budgets of the hunts; each process gets the whole plan."""

    device: str = "simulated"
    seeds: tuple[int, ...] = (1,)
    own: Budget = OWN
    others: Budget = OTHERS


def build(
    mutants: Sequence[Mutant], plan: Plan, *, jobs: int = 1, watch: Watch = lambda row: None
) -> Matrix:
    """Try every oracle on the sound runtime, then hunt ``mutants`` in ``jobs`` processes.

    The processes find the mutants by their names, so all must be registered.  ``watch`` is called
    with each row.
    """
    made = Programs(plan.device)
    matrix = Matrix(device=plan.device, seeds=plan.seeds)
    budget = replace(CONTROL, seconds=min(CONTROL.seconds, plan.own.seconds))
    for oracle in ORACLES:
        control = hunt(SOUND, oracle, plan.seeds[0], budget, made)
        if control.killed:
            matrix.false_alarms.append(control)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        names = [mutant.name for mutant in mutants]
        for mutant, found in zip(mutants, pool.map(_hunts, names, repeat(plan)), strict=True):
            row = Row(mutant=mutant, own=found.own, others=found.others, replayed=found.replayed)
            matrix.rows.append(row)
            watch(row)
    return matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hunts:
    """A row without its mutant, because a mutant cannot be sent between processes."""

    own: tuple[Hunt, ...]
    others: tuple[Hunt, ...]
    replayed: bool


def _hunts(name: str, plan: Plan) -> _Hunts:
    warnings.simplefilter("ignore", ResourceWarning)
    mutant, made, seeds = find(name), _programs(plan.device), plan.seeds
    first, *rest = oracles_for(mutant)
    full = _own_budget(mutant, plan)
    quick = replace(full, shrink_seconds=0.0)
    budgets = (full, *(quick for _ in seeds[1:]))
    own = tuple(
        hunt(mutant, first, seed, budget, made) for seed, budget in zip(seeds, budgets, strict=True)
    )
    others = tuple(hunt(mutant, oracle, seeds[0], plan.others, made) for oracle in rest)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        replayed = not own[0].killed or _replays(own[0], mutant, first, path, made)
    return _Hunts(own=own, others=others, replayed=replayed)


def _own_budget(mutant: Mutant, plan: Plan) -> Budget:
    factor = _RARE_FACTOR if mutant.rare else 1
    programs, seconds = factor * plan.own.programs, factor * plan.own.seconds
    return replace(plan.own, programs=programs, seconds=seconds)


@lru_cache(maxsize=1)
def _programs(device: str) -> Programs:
    return Programs(device)


def _replays(found: Hunt, mutant: Mutant, oracle: Oracle, folder: Path, made: Programs) -> bool:
    if mutant.reference is not SOUND.reference:
        # Such a mutant breaks the oracle.  The file of a finding holds the case and no oracle, so
        # whoever replays the file gets a sound reference and sees no failure.
        return True
    return replays(found, mutant, oracle, folder, kernels=made.kernels)


def as_json(matrix: Matrix) -> dict[str, Any]:
    """The whole matrix in plain values."""
    return {
        "device": matrix.device,
        "seeds": list(matrix.seeds),
        "clean": matrix.is_clean,
        "false_alarms": [hunt.oracle for hunt in matrix.false_alarms],
        "mutants": [_row_as_json(row) for row in matrix.rows],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.mutant.name,
        "killed": row.killed,
        "found_by": row.mutant.found_by,
        "programs": row.programs,
        "seconds": round(row.seconds, 3),
        "shrunk_ops": row.shrunk_ops,
        "shrink_seconds": round(row.own[0].shrink_seconds, 3),
        "place": row.mutant.place,
        "description": row.mutant.description,
        "origin": row.mutant.origin,
        "hard": row.survived_hundred,
        "replays": row.replayed,
        "traits": [hunt.failure.trait if hunt.failure else None for hunt in row.own],
        "programs_by_seed": [hunt.programs if hunt.killed else None for hunt in row.own],
        "seconds_by_seed": [round(hunt.seconds, 3) for hunt in row.own],
        "law": _law(row),
        "others": dict(_others(row)),
    }


def _law(row: Row) -> str | None:
    """The law that the mutant breaks first; None if the laws did not find the mutant."""
    found = row.hunt_of(LAWS.name)
    return found.failure.trait if found is not None and found.failure is not None else None


def _others(row: Row) -> Iterator[tuple[str, int | None]]:
    for found in row.others:
        yield found.oracle, found.programs if found.killed else None
