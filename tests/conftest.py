"""What all tests share: the device they run on, and how Hypothesis is set.

The device is the one that GPUSIM_DEVICE names, or the best there is.  One that
is named and not there is an error in every test that asks for it, never a skip.
No test finds a device in another way than by the fixtures here, so that what it
asks for says whether it means the same on every device.
"""

import gc
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gpusim.devices import BEST, find_adapter, open_device
from gpusim.runtime import Driver, driver_for

# Time says nothing about a property here: the first example on a device compiles its kernels,
# and the machine may be busy.
_UNTIMED: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("gpusim", **_UNTIMED)
# The same examples every time, so that two runs of one commit say the same; sessions look further.
settings.register_profile("ci", **_UNTIMED, print_blob=True, derandomize=True, database=None)
settings.register_profile("deep", **_UNTIMED, print_blob=True, max_examples=5_000)
settings.load_profile("ci" if "CI" in os.environ else "gpusim")
# The garbage collector took a tenth of the time of all tests.
gc.set_threshold(50_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask for no device: they need to run once only."""
    for item in items:
        if "device_name" not in getattr(item, "fixturenames", ()):
            item.add_marker("unit")


def pytest_collection_finish() -> None:
    """Make the garbage collector scan only what tests make, and not all that is loaded."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def device_name() -> str:
    """The name of the device under test, never ``best``."""
    return find_adapter(os.environ.get("GPUSIM_DEVICE", BEST)).name


@pytest.fixture(scope="session")
def device(device_name: str) -> Any:
    """The device under test, shared: a test that harms its device opens one of its own."""
    return open_device(device_name)


@pytest.fixture(scope="session")
def driver(device: Any) -> Driver:
    """A driver on the device under test, shared so that each kernel is compiled once."""
    return driver_for(device)
