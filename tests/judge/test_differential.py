"""Programs of Hypothesis on the runtime and on the oracle: every observable agrees."""

import pytest
from hypothesis import given, settings

from gpusim.runtime import PRESETS
from properties.generate.strategies import cases
from properties.model.case import Case
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_runtime_does_what_the_program_means(device_name: str, preset: str) -> None:
    factory = RuntimeFactory(device_name)

    @settings(max_examples=60)
    @given(case=cases(device_name, presets=[PRESETS[preset]], limits=factory.limits))
    def agrees(case: Case) -> None:
        verdict = judge(case, factory, MEANING_ONLY)
        assert verdict.failure is None, f"{verdict.failure}\n{case.policy}\n{case.program}"

    agrees()
