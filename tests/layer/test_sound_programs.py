"""The sanitizer is silent on sound programs: on our own runtime, under every policy."""

from typing import Any

import pytest

from gpusim.layer import Sanitizer
from gpusim.runtime import PRESETS, Driver, driver_for
from gpusim.runtime.drivers.driver import WgpuDriver
from properties.execute import execute
from properties.generate.cases import CaseSettings, case_for
from properties.targets.factory import RuntimeFactory

PROGRAMS = 60


@pytest.mark.parametrize("preset", PRESETS)
def test_our_runtime_is_clean(device_name: str, preset: str) -> None:
    sanitizer = Sanitizer(on_report=lambda report: None)

    def watched(device: Any) -> Driver:
        sanitizer.watch(device)
        driver = driver_for(device)
        assert type(driver) is WgpuDriver, "another driver would pass the layer by"
        return driver

    factory = RuntimeFactory(device_name, make_driver=watched)
    setting = CaseSettings(device=device_name, limits=factory.limits, presets=(preset,))
    for number in range(PROGRAMS):
        execute(case_for(1, number, setting), factory)
    assert sanitizer.finish() == []
