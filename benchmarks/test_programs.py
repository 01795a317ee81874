"""How fast programs are judged: made, run, executed by the oracle, and compared."""

from itertools import count
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.kernels import BUILTIN
from gpusim.runtime import Policy
from properties.session.devices import SCHEDULERS
from properties.session.numbered import numbered_case
from properties.session.subject import RuntimeSubject
from properties.session.verdict import judge

_PROGRAMS = 20


def test_programs(benchmark: BenchmarkFixture, device_name: str, policy: Policy) -> None:
    """20 programs a round, other ones every round."""
    subject = RuntimeSubject(device_name, BUILTIN)
    numbers = count()

    def round_of_programs() -> list[Any]:
        return [_judge(subject, device_name, policy, next(numbers)) for _ in range(_PROGRAMS)]

    benchmark.extra_info["programs"] = _PROGRAMS
    failures = benchmark(round_of_programs)
    assert failures == [None] * _PROGRAMS


def _judge(subject: RuntimeSubject, device: str, policy: Policy, number: int) -> Any:
    case = numbered_case(
        0,
        number,
        presets=(policy.name,),
        schedulers=SCHEDULERS,
        device=device,
        kernels=BUILTIN,
        limits=subject.limits,
    )
    return judge(case, subject, BUILTIN).failure
