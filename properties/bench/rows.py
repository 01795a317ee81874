"""What a benchmark reports: rows of one shape, and their JSON.

Data only: nothing here measures, prints or draws.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from properties.bench.timing import Sample, spread

BARE, EAGER = "bare", "eager"
_OWN = (
    "workload",
    "arm",
    "median_us",
    "low_us",
    "high_us",
    "record_us",
    "cpu_us",
    "ratio_to_bare",
    "ratio_to_eager",
    "rounds",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One arm of one workload; times are microseconds of one unit (a dispatch, a token, a read).

    ``median_us`` runs until the results are there, ``low_us`` and ``high_us``
    are its quartiles.  ``record_us`` ends when the last submit has returned, and
    ``cpu_us`` is what the calling thread computed until then.
    Ratios are those of the medians, None where the workload has no such arm.
    """

    workload: str
    arm: str
    median_us: float
    low_us: float
    high_us: float
    record_us: float
    cpu_us: float
    ratio_to_bare: float | None = None
    ratio_to_eager: float | None = None
    rounds: int = 1
    more: Mapping[str, float] = field(default_factory=dict)
    """Further figures by name, the unit in the name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The rows of one run, and what they were measured on."""

    benchmark: str
    device: str
    description: str
    command: str
    rows: Sequence[Row]


def rows_of(
    workload: str,
    samples: Mapping[str, Sequence[Sample]],
    units: int,
    more: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Row]:
    """A row an arm from its samples, each of ``units`` units."""
    each = 1e6 / units
    totals = {
        arm: spread([sample.total_seconds * each for sample in taken])
        for arm, taken in samples.items()
    }
    medians = {arm: total.median for arm, total in totals.items()}
    return [
        Row(
            workload=workload,
            arm=arm,
            median_us=total.median,
            low_us=total.low,
            high_us=total.high,
            record_us=spread([s.record_seconds * each for s in samples[arm]]).median,
            cpu_us=spread([s.cpu_seconds * each for s in samples[arm]]).median,
            ratio_to_bare=_ratio(total.median, medians.get(BARE)),
            ratio_to_eager=_ratio(total.median, medians.get(EAGER)),
            rounds=len(samples[arm]),
            more=dict((more or {}).get(arm, {})),
        )
        for arm, total in totals.items()
    ]


def by_workload(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each workload, both in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.workload, []).append(row)
    return groups


def write_report(report: Report, file: Path) -> None:
    """Write ``report`` as JSON."""
    head = {
        "benchmark": report.benchmark,
        "device": report.device,
        "description": report.description,
        "command": report.command,
    }
    rows = [_to_json(row) for row in report.rows]
    file.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def read_report(file: Path) -> Report:
    """Read what ``write_report`` wrote."""
    data = json.loads(file.read_text(encoding="utf-8"))
    rows = [_from_json(entry) for entry in data.pop("rows")]
    return Report(**data, rows=rows)


def _ratio(median: float, base: float | None) -> float | None:
    return median / base if base else None


def _to_json(row: Row) -> dict[str, Any]:
    own = {name: _short(getattr(row, name)) for name in _OWN}
    return own | {name: _short(value) for name, value in row.more.items()}


def _from_json(entry: dict[str, Any]) -> Row:
    own = {name: entry.pop(name) for name in _OWN}
    return Row(**own, more=entry)


def _short(value: Any) -> Any:
    """Six digits are more than any clock here gives."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
