"""A mutant: which place of which file is changed, and how.  Data only."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One changed place: the ``number``-th that ``operator`` makes of ``path``."""

    path: str
    operator: str
    number: int
    function: str
    in_function: bool
    first_line: int
    """Where the statement begins, down to ``last_line`` where the change ends."""
    last_line: int

    @property
    def name(self) -> str:
        """The mutant in one word, as long as the file stays as it is."""
        return f"{self.path}:{self.operator}:{self.number}"

    @property
    def module(self) -> str:
        """The name under which the mutated module is imported."""
        parts = Path(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
