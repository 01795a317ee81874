"""The results of the mutants that were tried, kept in a file so that a run can go on."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One mutant and who killed it: a test, the judge, its own death, or None."""

    name: str
    function: str
    line: int
    change: str
    """The lines that differ, as a diff without its context."""
    digest: str
    """The digest of the whole mutated source."""
    killer: str | None
    seconds: float

    @property
    def path(self) -> str:
        """The file that is mutated."""
        return self.name.split(":")[0]

    @property
    def operator(self) -> str:
        """The operator of mutmut that made it."""
        return self.name.split(":")[1]

    @property
    def key(self) -> str:
        """The key of a note on the survivor; it does not depend on the line of the change."""
        return f"{self.path}: {self.function}\n{self.change}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The tried mutants of one part in order, the number of all its mutants, and the seed."""

    population: int
    seed: int
    killed_at_first: int
    """How many were killed before tests were written for the survivors."""
    results: tuple[Result, ...]

    @property
    def killed(self) -> int:
        """How many were killed."""
        return sum(result.killer is not None for result in self.results)


def read(path: Path) -> Sample:
    """The sample that is kept in a file; an empty one if there is no file."""
    if not path.exists():
        return Sample(population=0, seed=0, killed_at_first=0, results=())
    found = json.loads(path.read_text(encoding="utf-8"))
    results = tuple(Result(**entry) for entry in found.pop("results"))
    return Sample(**found, results=results)


def write(path: Path, sample: Sample) -> None:
    """Keep a sample in a file, one mutant a line."""
    lines = ",\n".join(json.dumps(asdict(result)) for result in sample.results)
    figures = ("population", "seed", "killed_at_first")
    head = ", ".join(f'"{figure}": {getattr(sample, figure)}' for figure in figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{{head}, "results": [\n{lines}\n]}}\n', encoding="utf-8")


def digest_of_files(paths: Iterable[Path]) -> str:
    """The identity of files with these names and contents."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]
