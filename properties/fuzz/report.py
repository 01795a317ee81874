"""Reports of a session: a live line, a short summary after it (findings first), and JSON.

The tables are in ``properties.fuzz.details``.  Nothing is judged or counted here.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from properties.fuzz.bugs import Bug
from properties.fuzz.coverage import coverage, missed
from properties.fuzz.engine import Session, Watch
from properties.fuzz.loading import TARGETS
from properties.fuzz.replay import replay_command
from properties.model.results import Finding
from properties.oracles.coverage import ALL_CELLS, FEASIBLE, chance_of_new, why_infeasible
from properties.oracles.goals import GOALS
from properties.oracles.laws import LAWS
from properties.shrink.reducer import Shrunk

Tell = Callable[[str], None]
_TELL_SECONDS = 10.0
"""How often a session reports its progress if there is no live line."""


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


def write_json(results: Mapping[str, Any], path: Path) -> None:
    """Write results to ``path``."""
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


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
def live(console: Console, tell: Tell) -> Iterator[Watch]:
    """A line that follows a session, if ``console`` is a terminal.

    Otherwise ``tell`` gets the line every ten seconds.
    """
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
        told = 0.0

        def watch(session: Session) -> None:
            nonlocal told
            if console.is_terminal:
                progress.update(task, description=line(session), completed=_share(session))
            elif session.seconds - told >= _TELL_SECONDS:
                told = session.seconds
                tell(line(session))

        yield watch


def say(session: Session, *, quiet: bool = False) -> str:
    """The summary for a person: each finding in a few lines, then the verdict and the settings.

    A quiet session that is valid and found nothing says nothing.
    """
    blocks = [str(finding) for finding in findings(session)]
    if quiet and (blocks or session.is_valid):
        return "\n\n".join(blocks)
    known = Counter(str(known) for known in session.bugs.known)
    words = [f"{count} known finding{'s' * (count > 1)}: {what}" for what, count in known.items()]
    weak = len(session.warnings)
    more = f"{weak} warning{'s' * (weak > 1)} and the tables" if weak else "the tables"
    settings = f"{session.settings.describe()}; --details shows {more}"
    lines = ["\n\n".join(blocks)] if blocks else []
    return "\n".join([*lines, *words, verdict(session), settings])


def findings(session: Session) -> list[Finding]:
    """The findings of a session, in the order in which they were met."""
    return [bug.told(replay_of(bug, session)) for bug in session.bugs.met.values()]


def line(session: Session) -> str:
    """Where a session stands: programs, their rate, novelty and findings."""
    words = [f"{session.programs} programs", f"{rate(session.programs, session.seconds)} a second"]
    if batches := session.tally.reached.batches:
        words.append(f"novelty {chance_of_new(batches):.1%}")
    return f"{session.device}: {', '.join([*words, f'{len(session.bugs)} found'])}"


def _share(session: Session) -> float:
    settings = session.settings
    shares = [0.0]
    if settings.programs:
        shares.append(session.programs / settings.programs)
    if settings.most_seconds:
        shares.append(session.seconds / settings.most_seconds)
    return min(1.0, max(shares))


def verdict(session: Session) -> str:
    """Whether something was found and, if nothing was found, what that means; in one line."""
    ended = " until it was interrupted" * session.interrupted
    if session.has_failed_enough:
        failures = session.bugs.failures
        ended = f"; it stopped after {failures} failing program{'s' * (failures > 1)} (--failures)"
    if len(session.bugs):
        return f"{len(session.bugs)} found in {session.programs} programs{ended}"
    if not session.is_valid:
        return f"invalid{ended}: {session.invalid_because}"
    result = "nothing found"
    if session.interrupted:
        result = "interrupted, and nothing found until then,"
    return (
        f"{result} in {session.programs} programs, {session.seconds:.1f} s, "
        f"seed {session.settings.seed}; {_planted(session)}; "
        f"with 95 percent confidence, at most {session.rate_bound:.2%} of such programs fail"
    )


def _planted(session: Session) -> str:
    seen = sum(mistake.seen for mistake in session.planted)
    if seen == len(session.planted):
        return f"all {seen} planted mistakes were seen"
    text = f"{seen} of {len(session.planted)} planted mistakes were seen"
    return f"{text}; the other cannot be seen with these settings, as expected"


def replay_of(bug: Bug, session: Session) -> str:
    """The command that replays the file of a bug."""
    target = session.settings.target
    shown = "" if target in TARGETS else target
    return replay_command(bug.file, shown, session.settings.kernels)


def rate(count: int, seconds: float) -> str:
    """How many a second."""
    return f"{count / seconds:.0f}" if seconds > 0 else "-"
