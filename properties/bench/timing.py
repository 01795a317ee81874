"""Times rounds of several arms, interleaved so that a disturbance hits all of them.

Every benchmark reports rows of one shape, which can be written as JSON.
"""

import gc
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from random import Random
from time import perf_counter, thread_time
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One round of one arm, in seconds."""

    record_seconds: float
    """Host time until the last submit returned."""
    cpu_seconds: float
    """CPU time of this thread until then; steady even on a busy machine."""
    total_seconds: float
    """Host time until the last result is in host memory."""
    process_seconds: float = 0.0
    """CPU time of all threads of the process until then, the driver's included."""


Play = Callable[[], Sample]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a benchmark is asked for; a benchmark may ignore ``rounds`` or ``small``."""

    device: Any
    name: str
    """The name of the device."""
    rounds: int
    """How many rounds count."""
    small: bool
    """Whether the sizes are to be those for a software adapter."""
    tell: Callable[[str], None]
    """Called with what runs next."""


class Watch:
    """The clocks of one round."""

    def __init__(self) -> None:
        self._record_seconds = self._cpu_seconds = 0.0
        self._begin = perf_counter()
        self.resume()

    def resume(self) -> None:
        """Count time as the host's work from now on."""
        self._start, self._cpu_start = perf_counter(), thread_time()

    def pause(self) -> None:
        """Count no more host time: all is submitted, and the host waits."""
        self._record_seconds += perf_counter() - self._start
        self._cpu_seconds += thread_time() - self._cpu_start

    def stop(self) -> Sample:
        """The sample; to be called when the last result is in host memory."""
        return Sample(
            record_seconds=self._record_seconds,
            cpu_seconds=self._cpu_seconds,
            total_seconds=perf_counter() - self._begin,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Median and quartiles of some numbers."""

    median: float
    low: float
    high: float


def interleave(
    plays: Mapping[str, Play],
    rounds: int,
    *,
    warm_rounds: int = 1,
    turn: int = 1,
    settle: int = 0,
    before: Callable[[], None] = lambda: None,
) -> dict[str, list[Sample]]:
    """Returns the samples of ``rounds`` turns of each arm, after ``warm_rounds`` that do not count.

    A turn begins with ``before``, which gives all arms the same start, and with ``settle`` plays
    that do not count.  Then come ``turn`` plays that do.
    Each round has another order, so that no arm always follows the same other arm: the device
    cleans up after an arm during the next turn.  Python's garbage is collected
    before each turn; objects older than the first turn are frozen.
    """
    names = list(plays)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    order = Random(0)
    gc.collect()
    gc.freeze()
    for number in range(warm_rounds + rounds):
        for name in order.sample(names, len(names)):
            gc.collect()
            before()
            taken = [plays[name]() for _ in range(settle + turn)]
            if number >= warm_rounds:
                samples[name] += taken[settle:]
    gc.unfreeze()
    return samples


def spread(numbers: Sequence[float]) -> Spread:
    """Median and quartiles; all equal for a single number."""
    if len(numbers) == 1:
        return Spread(median=numbers[0], low=numbers[0], high=numbers[0])
    low, median, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)


BARE, EAGER = "bare", "eager"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One arm of one workload; times are microseconds of one unit (a dispatch, a token, a read).

    ``median_us`` ends when the results are in host memory; ``low_us`` and ``high_us`` are
    the quartiles.  ``record_us`` ends when the last submit has returned; ``cpu_us`` is
    the CPU time of the calling thread until then.
    ``ratio_to_bare`` divides ``median_us`` by that of the arm ``bare``; ``ratio_to_eager`` by that
    of ``eager``.  A ratio is None if the workload lacks that arm.
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


_OWN = [each.name for each in fields(Row) if each.name != "more"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What a benchmark measured; a note is a line below the tables."""

    rows: Sequence[Row]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The results of one run, and what they were measured on."""

    benchmark: str
    device: str
    description: str
    command: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def rows_of(
    workload: str,
    samples: Mapping[str, Sequence[Sample]],
    units: int,
    more: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Row]:
    """A row for each arm, from its samples; each sample is the time of ``units`` units."""
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
    """The rows by workload, in their order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.workload, []).append(row)
    return groups


def write_report(report: Report, file: Path) -> None:
    """Write ``report`` as JSON."""
    names = ("benchmark", "device", "description", "command", "notes")
    head = {name: getattr(report, name) for name in names}
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
    """A float is cut to six digits, because no clock here is more exact than that."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
