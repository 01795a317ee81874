"""The command that runs the kill matrix: what it prints, and the files that it writes.

The matrix is written as plain values, and the page is made of these.  ``matrix`` decides which
mutant is hunted, and with which oracle.
"""

import argparse
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from gpusim.devices import SIMULATED
from properties.arguments import (
    Parser,
    read_device,
    read_file_to_write,
    read_seconds,
    read_whole,
)
from properties.mutants.matrix import HARD_PROGRAMS, OWN, Plan, Row, as_json, build
from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.oracles import ORACLES
from properties.oracles.laws import LAWS

Values = Mapping[str, Any]

_SOUND, _FOUND_FAULT = 0, 1
_MOST_JOBS = 256


def add_options(parser: Parser) -> None:
    """The options of the command."""
    parser.add_argument("--only", metavar="NAME", action="append", help="this mutant; may repeat")

    parser.add_option("--seeds", read_whole(1), "seeds 1 to N", metavar="N", default=1)
    parser.add_option(
        "--jobs", read_whole(1, _MOST_JOBS), "processes that hunt", metavar="N", default=1
    )
    parser.add_option("--seconds", read_seconds, "for a hunt", metavar="N", default=OWN.seconds)
    parser.add_option("--json", read_file_to_write, "write the matrix as JSON", metavar="FILE")
    parser.add_option("--page", read_file_to_write, "write the matrix as a page", metavar="FILE")
    parser.add_option("--device", read_device, "of the hunts", metavar="NAME", default=SIMULATED)


def run(arguments: argparse.Namespace) -> int:
    """Run the matrix; 0 if every mutant was found, every find replays and no alarm was false."""
    warnings.simplefilter("ignore", ResourceWarning)
    # Each mutant once, however often it was named.
    names = dict.fromkeys(arguments.only or ())
    mutants = [find(name) for name in names] if names else MUTANTS
    plan = Plan(
        device=arguments.device,
        seeds=tuple(range(1, arguments.seeds + 1)),
        own=replace(OWN, seconds=arguments.seconds),
    )
    matrix = build(
        mutants, plan, jobs=arguments.jobs, watch=lambda row: print(line_of(row), flush=True)
    )
    values = as_json(matrix)
    for what, figure in figures(values).items():
        print(f"{what}: {figure}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if arguments.page is not None:
        arguments.page.write_text(page(values), encoding="utf-8")
    return _SOUND if matrix.is_clean else _FOUND_FAULT


_INTRODUCTION = """\
# Mutants

A judge that finds nothing has shown nothing, unless it is known to find mistakes. Each mutant is
the runtime, its device or the reference with one mistake in it. Every mutant must be found, by
programs that were not made for it. Written by `gpusim mutants --seeds 3 --page docs/mutants.md`.

The columns are the oracles: the comparison with the reference, the laws over the trace, the
relations between a program and a changed one, the contract under faults, the clients, and the
costs. A number counts the programs that the oracle ran on the first seed until it found the
mutant. `-` means that it did not find the mutant within its programs. An oracle gets many programs
only for the mutants that it is sure to find (in bold), and few for the others. An empty cell means
that the oracle does not look at the part that is broken. "Ops" is the size of the smallest program
that shows the mutant. A star marks a mutant that survives a hundred random programs on the median
seed. For the mutants that random programs seldom meet, `tests/mutants/test_rare.py` has programs
written by hand.
"""


_LAWS = """\
Each mutant that laws find is listed at the law that it broke first. A law without a mutant is
redundant here: a mutant that breaks it breaks another law, or shows a wrong value, before that. To
break A12 a runtime must make no buffer, and to break E2 it must accept a freed one; the reference
sees both. H1 compares two runs of a program; only sessions do that.
"""


def page(matrix: Values) -> str:
    """The whole page, from the plain values of ``matrix.as_json``."""
    return "\n".join(_lines(matrix))


def _lines(matrix: Values) -> Iterator[str]:
    yield _INTRODUCTION
    yield f"Device: {matrix['device']}; seeds: {', '.join(map(str, matrix['seeds']))}.\n"
    yield "| | |"
    yield "|---|---|"
    for what, figure in figures(matrix).items():
        yield f"| {what} | {figure} |"
    names = [oracle.name for oracle in ORACLES]
    for part, rows in groupby(matrix["mutants"], lambda row: row["place"].partition(":")[0]):
        yield f"\n## {part.replace('_', ' ')}\n"
        yield f"| mutant | what is wrong | origin | {' | '.join(names)} | seconds | ops |"
        yield "|---|---|---|" + "---|" * (len(names) + 2)
        for row in rows:
            yield _line(row, names)
    yield from _laws(matrix["mutants"])
    yield ""


def _laws(rows: Sequence[Values]) -> Iterator[str]:
    """For each law, the mutants that break it first, and those that only laws see."""
    yield "\n## laws\n"
    yield _LAWS
    yield "| law | broken first by | of these, seen by laws alone |"
    yield "|---|---|---|"
    for law in LAWS:
        broken = [row for row in rows if row["law"] == law.name]
        alone = [row["name"] for row in broken if not _has_other_finder(row)]
        names = ", ".join(row["name"] for row in broken)
        yield f"| {law.name} | {names or 'none: redundant here'} | {', '.join(alone)} |"


def _has_other_finder(row: Values) -> bool:
    finders = {row["found_by"], *(name for name, programs in row["others"].items() if programs)}
    return finders != {"laws"}


def _line(row: Values, oracles: Sequence[str]) -> str:
    star = "*" if row["hard"] else ""
    ops = "" if row["shrunk_ops"] is None else str(row["shrunk_ops"])
    words = [row["name"] + star, row["description"], row["origin"]]
    seconds = f"{row['seconds']:.2f}"
    words += [_cell(row, oracle) for oracle in oracles]
    return f"| {' | '.join([*words, seconds, ops])} |"


def _cell(row: Values, oracle: str) -> str:
    if oracle == row["found_by"]:
        return f"**{row['programs_by_seed'][0] or '-'}**"
    return str(row["others"][oracle] or "-") if oracle in row["others"] else ""


def figures(matrix: Values) -> Mapping[str, str]:
    """The summary of the matrix, in words and numbers."""
    rows: list[Values] = matrix["mutants"]
    seeds = len(matrix["seeds"])
    sizes = [row["shrunk_ops"] for row in rows if row["shrunk_ops"] is not None]
    pairs = [pair for row in rows for pair in zip(*_by_seed(row), strict=True)]
    times = [seconds for programs, seconds in pairs if programs is not None]
    shrinks = [row["shrink_seconds"] for row in rows if row["shrunk_ops"] is not None]
    alive = [row["name"] for row in rows if not row["killed"]]
    lost = [row["name"] for row in rows if not row["replays"]]
    return {
        "mutants": str(len(rows)),
        f"found on {seeds} of {seeds} seeds": str(len(rows) - len(alive)),
        "not found on some seed": ", ".join(alive) or "none",
        "differ in their place or in who finds them": str(len({_kind(row) for row in rows})),
        "survive a hundred programs, on some seed / on the median one": (
            f"{sum(_is_hard_somewhere(row) for row in rows)} / {sum(row['hard'] for row in rows)}"
        ),
        "seconds of CPU to the kill, median / p90 / worst": _spread(times, 2),
        "ops of the smallest program, median / p90 / worst": _spread(sizes, 0),
        "seconds of CPU to make it small, median / p90 / worst": _spread(shrinks, 2),
        "false alarms without a mutant": ", ".join(matrix["false_alarms"]) or "none",
        "finds that do not replay 20 times of 20": ", ".join(lost) or "none",
    }


def _kind(row: Values) -> tuple[str, ...]:
    finders = [row["found_by"], *(name for name, programs in row["others"].items() if programs)]
    return row["place"], *sorted(finders)


def _is_hard_somewhere(row: Values) -> bool:
    return any(count is None or count > HARD_PROGRAMS for count in row["programs_by_seed"])


def _by_seed(row: Values) -> tuple[Sequence[int | None], Sequence[float]]:
    return row["programs_by_seed"], row["seconds_by_seed"]


def _spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    ordered = sorted(values)
    picked = (ordered[len(ordered) // 2], ordered[len(ordered) * 9 // 10], ordered[-1])
    return " / ".join(f"{value:.{digits}f}" for value in picked)


def line_of(row: Row) -> str:
    """One row as a line of a terminal."""
    seeds = " ".join(str(one.programs) if one.killed else "-" for one in row.own)
    others = " ".join(f"{one.oracle} {one.programs if one.killed else '-'}" for one in row.others)
    state = "found" if row.killed else "ALIVE"
    replay = "" if row.replayed else "  DOES NOT REPLAY"
    hard = "*" if row.programs > HARD_PROGRAMS else ""
    return (
        f"{state}  {row.mutant.name + hard:36} {row.mutant.found_by:10} programs {seeds:24} "
        f"{row.seconds:7.2f} s  ops {row.shrunk_ops}  {others}{replay}"
    )
