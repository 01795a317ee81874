"""The device that benchmarks run on: the one that GPUSIM_DEVICE names, or the best."""

import os
from typing import Any

import pytest

from gpusim.devices import BEST, open_device
from gpusim.runtime import PRESETS, Policy


@pytest.fixture(scope="session")
def device() -> Any:
    """The device, shared."""
    return open_device(os.environ.get("GPUSIM_DEVICE", BEST))


@pytest.fixture(params=list(PRESETS))
def policy(request: pytest.FixtureRequest) -> Policy:
    """Each preset in turn."""
    return PRESETS[request.param]
