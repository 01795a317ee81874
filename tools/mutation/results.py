"""What became of the mutants that were tried, kept in a file so that a run can go on."""

import json
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
    """Of the whole mutated source: the same mutant has the same one."""
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
        """What a note on a survivor is found by, wherever in the file the change stands."""
        return f"{self.path}: {self.function}\n{self.change}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What was tried of one part, in its order, of how many mutants, drawn by which seed."""

    population: int
    seed: int
    killed_at_first: int
    """How many did not live before the tests that the survivors led to."""
    results: tuple[Result, ...]

    @property
    def killed(self) -> int:
        """How many do not live."""
        return sum(result.killer is not None for result in self.results)


def read(path: Path) -> Sample:
    """The sample that is kept there; an empty one where there is no file."""
    if not path.exists():
        return Sample(population=0, seed=0, killed_at_first=0, results=())
    found = json.loads(path.read_text(encoding="utf-8"))
    results = tuple(Result(**entry) for entry in found.pop("results"))
    return Sample(**found, results=results)


def write(path: Path, sample: Sample) -> None:
    """Keep it, one mutant a line."""
    lines = ",\n".join(json.dumps(asdict(result)) for result in sample.results)
    figures = ("population", "seed", "killed_at_first")
    head = ", ".join(f'"{figure}": {getattr(sample, figure)}' for figure in figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{{head}, "results": [\n{lines}\n]}}\n', encoding="utf-8")
