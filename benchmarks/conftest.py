"""The device that benchmarks run on: the one that GPUSIM_DEVICE names, or the best."""

import os
from typing import Any

import pytest

from gpusim.devices import BEST, find_adapter, open_device
from gpusim.runtime import PRESETS, Policy


@pytest.fixture(scope="session")
def device_name() -> str:
    """The name of the device, never ``best``."""
    return find_adapter(os.environ.get("GPUSIM_DEVICE", BEST)).name


@pytest.fixture(scope="session")
def device(device_name: str) -> Any:
    """The device, shared."""
    return open_device(device_name)


@pytest.fixture(params=list(PRESETS))
def policy(request: pytest.FixtureRequest) -> Policy:
    """Each preset in turn."""
    return PRESETS[request.param]
