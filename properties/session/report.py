"""A session as JSON, for programs to read."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from properties.oracles.coverage import ALL_CELLS, FEASIBLE, chance_of_new, why_infeasible
from properties.oracles.laws import LAWS
from properties.oracles.probes import PROBES
from properties.session.bugs import Bug
from properties.session.coverage import coverage, missed
from properties.session.session import Session


def as_json(session: Session) -> dict[str, Any]:
    """Everything a session has to say, in plain values."""
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
        "planted_mistake_seen_after": session.planted_seen,
        "planted": None if session.planted is None else asdict(session.planted),
        "failure_rate_below": session.rate_bound,
        "findings": [_bug(bug) for bug in session.bugs.met.values()],
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
        "probes": {probe: tally.reached.probes[probe] for probe in PROBES},
        "probes_missed": session.missed_probes,
        "probes_unreachable": dict(session.unreachable),
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
        },
        "worker_deaths": session.deaths,
        "warnings": session.warnings,
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
        "summary": bug.summary,
        "policy": str(bug.case.policy),
        "seed": bug.case.seed,
        "count": bug.count,
        "reproduced": bug.reproduced,
    }
