"""A device that knows the kernels of the benchmarks, the simulated one included; one short run."""

from typing import Any

import pytest

from gpusim.runtime import Driver, driver_for
from properties.bench.timing import Asked
from properties.model.case import parse_device
from properties.targets.factory import open_case_device


@pytest.fixture(scope="session")
def bench_device(device_name: str) -> Any:
    """The device under test."""
    return open_case_device(parse_device(device_name))


@pytest.fixture(scope="session")
def bench_driver(bench_device: Any) -> Driver:
    """A driver on it, shared so that each kernel is compiled once."""
    return driver_for(bench_device)


@pytest.fixture
def asked(bench_device: Any, device_name: str) -> Asked:
    """A round of small sizes on that device; nobody listens."""
    return Asked(
        device=bench_device, name=device_name, rounds=1, small=True, tell=lambda what: None
    )
