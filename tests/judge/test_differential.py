"""Programs of Hypothesis on the runtime and on the oracle: every observable agrees."""

import pytest
from hypothesis import given, settings

from gpusim.kernels import BUILTIN
from gpusim.runtime import PRESETS
from properties.case import Case
from properties.programs.strategies import cases
from properties.session.subject import RuntimeSubject
from properties.session.verdict import judge


@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_runtime_does_what_the_program_means(device_name: str, preset: str) -> None:
    subject = RuntimeSubject(device_name, BUILTIN)

    @settings(max_examples=60)
    @given(case=cases(device_name, presets=[PRESETS[preset]], limits=subject.limits))
    def agrees(case: Case) -> None:
        verdict = judge(case, subject, BUILTIN)
        assert verdict.failure is None, f"{verdict.failure}\n{case.policy}\n{case.program}"

    agrees()
