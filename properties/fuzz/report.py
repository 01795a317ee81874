"""Reports of a session: a live line on a terminal, tables at the end, and JSON.

Nothing is judged or counted here.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from properties.fuzz.bugs import Bug
from properties.fuzz.coverage import coverage, missed
from properties.fuzz.engine import Session, Watch
from properties.fuzz.loading import TARGETS
from properties.fuzz.replay import replay_command
from properties.model.case import PLAIN
from properties.oracles.coverage import ALL_CELLS, FEASIBLE, chance_of_new, why_infeasible
from properties.oracles.goals import GOALS
from properties.oracles.laws import LAWS
from properties.shrink.reducer import Shrunk


def as_json(session: Session) -> dict[str, Any]:
    """All results of a session, as plain values."""
    tally = session.tally
    tables = coverage(tally)
    return {
        "device": session.device,
        "description": session.description,
        "policy": session.settings.policy,
        "scheduler": session.settings.scheduler,
        "faults": session.settings.faults,
        "programs": session.programs,
        "ops": tally.ops,
        "seconds": round(session.seconds, 3),
        "fuzz_seconds": round(session.fuzz_seconds, 3),
        "seed": session.settings.seed,
        "first": session.settings.first,
        "valid": session.is_valid,
        "interrupted": session.interrupted,
        "planted": [asdict(mistake) for mistake in session.planted],
        "failure_rate_below": session.rate_bound,
        "findings": [_bug(bug) for bug in session.bugs.met.values()],
        "known": [{"file": str(known.file), "state": str(known)} for known in session.bugs.known],
        "known_failures": session.bugs.known_failures,
        "policies": {
            name: {"programs": part.programs, "ops": part.ops, "seconds": round(part.seconds, 3)}
            for name, part in tally.policies.items()
        },
        "median_accepted_ops": tally.median_accepted,
        "reads_of_two_writers": round(tally.deep_share, 4),
        "compared_bytes": {
            "exact": tally.checked.exact_bytes,
            "tolerant": tally.checked.tolerant_bytes,
            "skipped": tally.checked.skipped_bytes,
        },
        "laws": {law.name: tally.held[law.name] for law in LAWS},
        "goals": {goal: tally.reached.goals[goal] for goal in GOALS},
        "goals_missed": session.missed_goals,
        "probes_unreachable": dict(session.unreachable),
        "not_asked": list(session.not_asked),
        "cells": {
            "traces": tally.reached.programs,
            "reached": {str(cell): tally.reached.cells[cell] for cell in FEASIBLE},
            "infeasible": {
                str(cell): reason
                for cell in ALL_CELLS
                if (reason := why_infeasible(cell, session.uniforms))
            },
        },
        "residual_risk": {
            "failure_rate_below": session.rate_bound,
            "new_batch_shape": round(chance_of_new(tally.reached.batches), 4),
            "batch_shapes": len(tally.reached.batches),
            "reach": asdict(tally.reach),
        },
        "worker_deaths": session.deaths,
        "warnings": session.warnings,
        "blind_spots": session.blind_spots,
        "coverage": tables,
        "missed": missed(tables),
    }


def write_json(session: Session, path: Path) -> None:
    """Write the session to ``path``."""
    path.write_text(json.dumps(as_json(session), indent=2) + "\n", encoding="utf-8")


def _bug(bug: Bug) -> dict[str, Any]:
    return {
        "file": str(bug.file),
        "program": str(bug.case.program),
        "kind": str(bug.failure.kind),
        "summary": bug.summary,
        "details": bug.failure.details,
        "argument": [] if bug.argument is None else list(bug.argument.lines),
        "policy": str(bug.case.policy),
        "seed": bug.case.seed,
        "count": bug.count,
        "reproduced": bug.reproduced,
        "shrink": None if bug.shrunk is None else _shrink(bug.shrunk),
    }


def _shrink(shrunk: Shrunk) -> dict[str, Any]:
    return {
        "candidates": shrunk.candidates,
        "cut_short": shrunk.is_cut_short,
        "passes": {name: asdict(count) for name, count in shrunk.passes.items()},
    }


@contextmanager
def live(console: Console) -> Iterator[Watch]:
    """A line that follows a session, where ``console`` is a terminal."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("starting", total=1.0)

        def watch(session: Session) -> None:
            progress.update(task, description=_line(session), completed=_share(session))

        yield watch


def show(session: Session, console: Console) -> None:
    """The closing tables, the findings, and the verdict."""
    console.print(_policies(session))
    console.print(_coverage(session))
    console.print(_quality(session), highlight=False)
    for mistake in session.planted:
        console.print(Text(f"{mistake}"), soft_wrap=True)
    for name, reason in session.unreachable.items():
        console.print(f"out of reach: {name}, since {reason}", highlight=False)
    if session.not_asked:
        words = f"not asked, since not promised: {'; '.join(session.not_asked)}"
        console.print(Text(words), soft_wrap=True)
    for warning in session.warnings:
        console.print(f"[yellow]warning[/]: {warning}", highlight=False)
    for blind in session.blind_spots:
        console.print(f"not seen: {blind}", highlight=False)
    for known in session.bugs.known:
        console.print(Text(f"known: {known.file} {known}"), soft_wrap=True)
    for number, bug in enumerate(session.bugs.met.values(), start=1):
        show_bug(number, bug, session, console)
    console.print(_verdict(session), highlight=False)


def show_bug(number: int, bug: Bug, session: Session, console: Console) -> None:
    """One finding: the program, the first difference, and the command that replays it."""
    console.rule(f"finding {number}: {bug.failure.kind}, met {bug.count} times", align="left")
    client = "" if bug.case.client == PLAIN else f", client {bug.case.client}"
    policy = f"policy {bug.case.policy}, " if session.is_ours else ""
    device = str(bug.case.device)
    # Faults, limits and a scheduler belong to a finding as much as its program.
    asked = "" if device == bug.case.device.name else f"device {device}, "
    if bug.case.disturbance is not None:
        asked += f"disturbed by {bug.case.disturbance}, "
    console.print(f"{asked}{policy}program {bug.case.seed}{client}", highlight=False)
    if bug.argument is not None:
        console.print(Text(f"{bug.argument}\n"), soft_wrap=True)
    # A line of a program is never wrapped, so that it can be copied.
    console.print(Text(f"{bug.case.program}\n{bug.failure}"), soft_wrap=True)
    if bug.reproduced is False:
        console.print("It did not fail again when it was run by itself.")
    if bug.shrunk is not None:
        console.print(f"made small in {bug.shrunk.candidates} candidates", highlight=False)
    if bug.is_cut_short:
        words = f"--shrink {4 * session.settings.shrink:g}"
        console.print(f"Shrinking was cut short: {words} may make it smaller.", highlight=False)
    if bug.unsaved:
        console.print(Text(f"It could not be saved: {bug.unsaved}"), soft_wrap=True)
        return
    console.print(Text(f"file:   {bug.file}\nreplay: {_replay(bug, session)}"), soft_wrap=True)


def _line(session: Session) -> str:
    tally, rate = session.tally, _rate(session.programs, session.seconds)
    found = f", {len(session.bugs)} found" if len(session.bugs) else ""
    return f"{session.device}: {session.programs} programs, {tally.ops} ops, {rate} a second{found}"


def _share(session: Session) -> float:
    settings = session.settings
    shares = [0.0]
    if settings.programs:
        shares.append(session.programs / settings.programs)
    if settings.most_seconds:
        shares.append(session.seconds / settings.most_seconds)
    return min(1.0, max(shares))


def _policies(session: Session) -> Table:
    table = Table(
        "policy", title=Text(f"{session.device}: {session.description}"), title_justify="left"
    )
    for column in ("programs", "ops", "programs/s", "ops/s"):
        table.add_column(column, justify="right")
    for name, part in session.tally.policies.items():
        table.add_row(
            name if session.is_ours else "its own",
            str(part.programs),
            str(part.ops),
            _rate(part.programs, part.seconds),
            _rate(part.ops, part.seconds),
        )
    tally, seconds = session.tally, session.fuzz_seconds
    table.add_section()
    table.add_row(
        "all",
        str(tally.programs),
        str(tally.ops),
        _rate(tally.programs, seconds),
        _rate(tally.ops, seconds),
    )
    return table


def _coverage(session: Session) -> Table:
    table = Table("reached", "how often", title="coverage", title_justify="left", show_lines=False)
    for name, rows in coverage(session.tally).items():
        table.add_section()
        for row, columns in rows.items():
            table.add_row(f"{name}: {row}", _counts(columns))
    return table


def _counts(columns: dict[str, int]) -> Text:
    text = Text()
    for number, (column, count) in enumerate(columns.items()):
        text.append(", " if number else "")
        text.append(f"{column} {count or 'never'}", style="" if count else "bold red")
    return text


def _quality(session: Session) -> str:
    tally = session.tally
    batches = tally.reached.batches
    shapes = (
        f"; {len(batches)} shapes of batches, and the next is new with a chance of "
        f"{chance_of_new(batches):.1%}"
    )
    return (
        f"median of accepted ops {tally.median_accepted}; {tally.deep_share:.0%} of "
        f"{tally.measured_reads} reads depend on two earlier writers or more; "
        f"{tally.checked.exact_bytes} bytes compared exactly, "
        f"{tally.checked.tolerant_bytes} within a tolerance, {tally.checked.skipped_bytes} not"
        + (shapes if batches else "")
        + f"; {tally.reach}"
    )


def _verdict(session: Session) -> str:
    ended = " until it was interrupted" * session.interrupted
    if len(session.bugs):
        return f"[bold red]{len(session.bugs)} found[/] in {session.programs} programs{ended}"
    if not session.is_valid:
        return f"[bold red]invalid[/]{ended}: {session.invalid_because}"
    result = "[bold green]nothing found[/]"
    if session.interrupted:
        result = "[bold yellow]interrupted[/], and nothing found until then,"
    return (
        f"{result} in {session.programs} programs, {session.seconds:.1f} s, "
        f"seed {session.settings.seed}; all {len(session.planted)} planted mistakes "
        f"were seen; at most {session.rate_bound:.2%} of such programs fail "
        "(at 95 percent)"
    )


def _replay(bug: Bug, session: Session) -> str:
    target = session.settings.target
    shown = "" if target in TARGETS else target
    return replay_command(bug.file, shown, session.settings.kernels)


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:.0f}" if seconds > 0 else "-"
