"""The pytest plugin: options for every check, a line in the header, and a runtime for a test.

pytest loads this in every project of an environment that has gpusim, so nothing else is loaded
before an option or a fixture is used.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from properties.asked import ASKED

if TYPE_CHECKING:
    from gpusim import Runtime
    from gpusim.runtime import Driver

_OPTIONS = {
    "device": "the device of checks and runtimes: a name that `gpusim devices` shows",
    "policy": "the batching policy of gpusim's own runtime, a preset's name",
    "scheduler": "the scheduler of the simulated device: late, early or random",
}
_DEVICE, _SIMULATED, _BEST = "GPUSIM_DEVICE", "simulated", "best"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this plugin to those of pytest."""
    group = parser.getgroup("gpusim", "gpusim, the judge of batched GPU runtimes")
    for name, text in _OPTIONS.items():
        group.addoption(f"--gpusim-{name}", metavar="NAME", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Take the options, and refuse those that would be ignored or mean nothing."""
    values = {name: config.getoption(f"gpusim_{name}") for name in _OPTIONS}
    given = {name: value for name, value in values.items() if value}
    if not given:
        return
    device = _device(given)
    if "scheduler" in given and device != _SIMULATED:
        raise pytest.UsageError(
            f"cannot take --gpusim-scheduler={given['scheduler']} because only the simulated "
            f"device has a scheduler, and this is {device} (probably --gpusim-device={_SIMULATED} "
            "is missing)"
        )
    _check(given)
    ASKED.update(given)
    config.add_cleanup(ASKED.clear)


def pytest_report_header(config: pytest.Config) -> str:
    """The device, and the options that were given."""
    words = [f"device {_device(ASKED)}"]
    words += [f"{name} {value}" for name, value in ASKED.items() if name != "device"]
    return f"gpusim: {', '.join(words)}"


@pytest.fixture(scope="session")
def _gpusim_drivers() -> dict[str, "Driver"]:
    """The driver of each real device, which compiles each kernel once."""
    return {}


@pytest.fixture
def gpusim_runtime(_gpusim_drivers: dict[str, "Driver"]) -> Iterator["Runtime"]:
    """A runtime of the test's own, with the device and policy of the options.

    When the test ends, its buffers are freed and the runtime is closed.  If the device is
    simulated, it is a new one for each test.
    """
    from gpusim import Runtime

    policy = ASKED.get("policy", "ring")
    with Runtime(driver=_driver(_gpusim_drivers), policy=policy) as runtime:
        yield runtime
        for buffer in runtime.live_buffers() if runtime.is_open else ():
            runtime.free(buffer)


def _driver(kept: dict[str, "Driver"]) -> "Driver":
    from dataclasses import replace

    from gpusim.devices import find_adapter
    from gpusim.runtime import driver_for
    from properties.model.case import parse_device
    from properties.targets.factory import open_case_device

    name = find_adapter(_device(ASKED)).name
    asked: dict[str, Any] = {"scheduler": ASKED["scheduler"]} if "scheduler" in ASKED else {}
    if name not in kept or kept[name].lost or name == _SIMULATED:
        kept[name] = driver_for(open_case_device(replace(parse_device(name), **asked)))
    return kept[name]


def _device(asked: dict[str, str]) -> str:
    return asked.get("device") or os.environ.get(_DEVICE) or _BEST


def _check(given: dict[str, str]) -> None:
    """Raise pytest's UsageError if a value means nothing."""
    from properties.arguments import UsageError
    from properties.fuzz.settings import read_setting

    for name, text in given.items():
        try:
            read_setting(name, text, f"--gpusim-{name}")
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        if text == "all":
            raise pytest.UsageError(
                f"cannot take --gpusim-{name}=all because the runtime of a test has only one "
                f"{name} (probably the option is to be left out: a check then takes all in turn)"
            )
