"""How fast programs are judged: made, run, executed by the oracle, and compared."""

from itertools import count
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.runtime import Policy
from properties.generate.cases import CaseSettings, case_for
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

_PROGRAMS = 20


def test_programs(benchmark: BenchmarkFixture, device_name: str, policy: Policy) -> None:
    """20 programs a round, other ones every round."""
    factory = RuntimeFactory(device_name)
    setting = CaseSettings(device=device_name, limits=factory.limits, presets=(policy.name,))
    numbers = count()

    def round_of_programs() -> list[Any]:
        cases = [case_for(0, next(numbers), setting) for _ in range(_PROGRAMS)]
        return [judge(case, factory, MEANING_ONLY).failure for case in cases]

    benchmark.extra_info["programs"] = _PROGRAMS
    failures = benchmark(round_of_programs)
    assert failures == [None] * _PROGRAMS
