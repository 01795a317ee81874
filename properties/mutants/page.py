"""The kill matrix as a page for people: figures, then a table for each part."""

from collections.abc import Iterator
from pathlib import Path

from properties.mutants.hunt import Hunt
from properties.mutants.matrix import HARD_PROGRAMS, Matrix, Row, figures
from properties.mutants.oracles import ORACLES

_INTRODUCTION = """\
# Mutants

A judge that finds nothing has shown nothing unless it is known to see. Each mutant is the
runtime, its device or the judge itself with one mistake put in through the seam where that part
is handed over; every one must be found, by programs that were not made for it. Written by
`gpusim mutants`.

The columns are the oracles: the reference compared, the laws over the trace, the relations
between a program and a changed one, the contract under faults, a comparison's histories corrupted
by hand, and a reducer's cases of known size. A number is the programs that it took on the first
seed; `-` means not within the programs that the oracle was given, which is few unless the mutant
is its own (in bold); an empty cell means that the oracle does not look at that part. "Ops" is the
median size of the smallest programs that show it, and a star marks what survives a hundred random
programs on the median seed.
"""


def write_page(matrix: Matrix, path: Path) -> None:
    """Write the page to ``path``."""
    path.write_text(page(matrix), encoding="utf-8")


def page(matrix: Matrix) -> str:
    """The whole page."""
    return "\n".join(_lines(matrix))


def _lines(matrix: Matrix) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"Device: {matrix.device}; seeds: {', '.join(map(str, matrix.seeds))}.\n"
    yield "| | |"
    yield "|---|---|"
    for what, figure in figures(matrix).items():
        yield f"| {what} | {figure} |"
    part = ""
    for row in matrix.rows:
        file = row.mutant.place.partition(":")[0]
        if file != part:
            part = file
            yield f"\n## {part.replace('_', ' ')}\n"
            names = [oracle.name for oracle in ORACLES]
            yield f"| mutant | what is wrong | ancestor | {' | '.join(names)} | seconds | ops |"
            yield "|---|---|---|" + "---|" * (len(names) + 2)
        yield _line(row)
    yield ""


def _line(row: Row) -> str:
    star = "*" if row.survived_hundred else ""
    cells = [_cell(row, oracle.name) for oracle in ORACLES]
    ops = "" if row.shrunk_ops is None else str(row.shrunk_ops)
    words = [f"{row.mutant.name}{star}", row.mutant.story, row.mutant.ancestor, *cells]
    return f"| {' | '.join([*words, f'{row.seconds:.2f}', ops])} |"


def _cell(row: Row, oracle: str) -> str:
    found: Hunt | None = row.hunt_of(oracle)
    if found is None:
        return ""
    text = str(found.programs) if found.killed else "-"
    return f"**{text}**" if oracle == row.mutant.prey else text


def line_of(row: Row) -> str:
    """One row as a line of a terminal."""
    seeds = " ".join(str(one.programs) if one.killed else "-" for one in row.own)
    others = " ".join(f"{one.oracle} {one.programs if one.killed else '-'}" for one in row.others)
    state = "found" if row.killed else "ALIVE"
    replay = "" if row.replayed else "  DOES NOT REPLAY"
    hard = "*" if row.programs > HARD_PROGRAMS else ""
    return (
        f"{state}  {row.mutant.name + hard:36} {row.mutant.prey:10} programs {seeds:24} "
        f"{row.seconds:7.2f} s  ops {row.shrunk_ops}  {others}{replay}"
    )
