"""``bench fuzz``: how many programs are judged in a second, and where the time goes.

The loop is that of a session's worker, with every law on and a clock around each stage.  All
other time counts as the stage ``runtime``: the runtime and its device spend it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from time import perf_counter, thread_time
from typing import Any

from gpusim.errors import InternalError
from gpusim.kernels import BUILTIN
from properties.bench.timing import Asked, Results, Sample, Watch, rows_of
from properties.fuzz.tally import MEASURED_FIRST, Tally, is_measured
from properties.fuzz.worker import spare_collector
from properties.generate.cases import CaseSettings, case_for
from properties.oracles.compare import compare
from properties.oracles.coverage import check_and_cover
from properties.oracles.judge import Oracles, judge
from properties.oracles.laws import check
from properties.targets.factory import RuntimeFactory
from reference import run as run_reference

_PROGRAMS = 150
_ALL, _RUNTIME = "all", "runtime"
_STAGES = ("generate", _RUNTIME, "reference", "compare", "laws", "tally")


class _Clock:
    """Seconds and CPU seconds by stage; ``runtime`` has the time outside the other stages."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(_STAGES, 0.0)
        self._cpu_seconds = dict.fromkeys(_STAGES, 0.0)
        self._whole = Watch()

    def time(self, stage: str, work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call ``work``, and add its time to the stage's."""
        start, cpu_start = perf_counter(), thread_time()
        try:
            return work(*args, **named)
        finally:
            self._seconds[stage] += perf_counter() - start
            self._cpu_seconds[stage] += thread_time() - cpu_start

    def stop(self) -> dict[str, Sample]:
        """The time of all, and of each stage."""
        self._whole.pause()
        whole = self._whole.stop()
        self._seconds[_RUNTIME] = whole.total_seconds - sum(self._seconds.values())
        self._cpu_seconds[_RUNTIME] = whole.cpu_seconds - sum(self._cpu_seconds.values())
        stages = {
            stage: _sample(self._seconds[stage], self._cpu_seconds[stage]) for stage in _STAGES
        }
        return {_ALL: whole, **stages}


class _Judging:
    """Judges programs by number, one round after another.

    It starts after the first programs of a seed, because a session measures the coverage of each of
    these programs, but only of some later ones.
    """

    def __init__(self, device: str) -> None:
        self.ops = 0
        self._factory = factory = RuntimeFactory(device)
        self._setting = CaseSettings(
            device=device,
            limits=factory.limits,
            small=factory.small,
            promises=factory.capabilities,
        )
        self._numbers = count(MEASURED_FIRST)
        self._tally = Tally()

    def play(self, programs: int) -> dict[str, Sample]:
        """The time of each stage, and of all of them, for that many programs."""
        clock = _Clock()
        for _ in range(programs):
            self._judge(next(self._numbers), clock)
        return clock.stop()

    def _judge(self, number: int, clock: _Clock) -> None:
        case = clock.time("generate", case_for, 0, number, self._setting)
        measured = is_measured(number)
        oracles = Oracles(
            reference=partial(clock.time, "reference", run_reference),
            compare=partial(clock.time, "compare", compare),
            laws=partial(clock.time, "laws", check_and_cover if measured else check),
        )
        verdict = judge(case, self._factory, oracles)
        clock.time("tally", self._tally.note, case, verdict, 0.0, BUILTIN, measured=measured)
        self.ops += len(case.program)
        if verdict.failure is not None:
            raise InternalError(
                f"cannot time the judge because program {number} fails (probably the runtime "
                f"is broken): {verdict.failure}"
            )


def _sample(seconds: float, cpu_seconds: float) -> Sample:
    return Sample(record_seconds=seconds, cpu_seconds=cpu_seconds, total_seconds=seconds)


def bench(asked: Asked) -> Results:
    """A row for each stage; times are per program."""
    rounds = asked.rounds
    asked.tell(f"{rounds} rounds of {_PROGRAMS} programs")
    judging = _Judging(asked.name)
    spare_collector()
    judging.play(_PROGRAMS // 3)
    judging.ops = 0
    taken = [judging.play(_PROGRAMS) for _ in range(rounds)]
    samples = {stage: [one[stage] for one in taken] for stage in taken[0]}
    rows = rows_of("programs", samples, _PROGRAMS)
    whole = rows[0].median_us
    ops_per_program = judging.ops / (rounds * _PROGRAMS)
    first, *stages = rows
    rates = {
        "programs_per_second": 1e6 / whole,
        "ops_per_second": 1e6 / whole * ops_per_program,
        "programs_per_cpu_second": 1e6 / first.cpu_us,
    }
    shares = [replace(row, more={"share": row.median_us / whole}) for row in stages]
    return Results(rows=[replace(first, more=rates), *shares])
