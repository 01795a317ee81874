"""The command that runs the kill matrix, prints it, and writes it down."""

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from properties.mutants.catalogue import MUTANTS, find
from properties.mutants.matrix import OWN, Plan, as_json, build
from properties.mutants.page import figures, line_of, page

_SOUND, _FOUND_FAULT = 0, 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--only", metavar="NAME", action="append", help="this mutant; may repeat")
    parser.add_argument("--seeds", metavar="N", type=int, default=1, help="seeds 1 to N")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="processes that hunt")
    parser.add_argument("--seconds", metavar="N", type=float, default=OWN.seconds, help="a hunt")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the matrix as JSON")
    parser.add_argument("--page", metavar="FILE", type=Path, help="write the matrix as a page")
    parser.add_argument("--device", metavar="NAME", default="simulated", help="where they run")


def run(arguments: argparse.Namespace) -> int:
    """Run the matrix; 0 where every mutant was found and the control passed, else 1."""
    warnings.simplefilter("ignore", ResourceWarning)
    mutants = [find(name) for name in arguments.only] if arguments.only else MUTANTS
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


def main(words: Sequence[str]) -> int:
    """Parse ``words`` and run."""
    parser = argparse.ArgumentParser(prog="gpusim mutants", description=__doc__)
    add_options(parser)
    return run(parser.parse_args(words))
