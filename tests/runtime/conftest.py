"""Runtimes on the device under test, traced or with planned faults, closed after each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gpusim.runtime import PRESETS, Driver, Parts, Policy, Runtime, TracedDriver, traced_parts
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.trace import Trace

Opened = tuple[Runtime, Trace]


@pytest.fixture(params=list(PRESETS))
def policy(request: pytest.FixtureRequest) -> Policy:
    """Each preset in turn."""
    return PRESETS[request.param]


@pytest.fixture
def runtime(driver: Driver, policy: Policy) -> Iterator[Runtime]:
    """A runtime of each preset."""
    with Runtime(driver=driver, policy=policy) as runtime:
        yield runtime
        free_all(runtime)


@pytest.fixture
def traced(driver: Driver) -> Iterator[Callable[[Policy], Opened]]:
    """Opens a runtime of a policy whose every device call is written down."""
    with ExitStack() as stack:

        def open_traced(policy: Policy) -> Opened:
            trace = Trace()
            runtime = Runtime(
                driver=TracedDriver(driver, trace),
                policy=policy,
                parts=traced_parts(Parts(), trace),
            )
            stack.enter_context(runtime)
            stack.callback(free_all, runtime)
            return runtime, trace

        yield open_traced


@pytest.fixture
def faulty(driver: Driver) -> Iterator[Callable[..., Runtime]]:
    """Opens a runtime whose driver fails as planned."""
    opened: list[Runtime] = []

    def open_faulty(*faults: Fault, policy: Policy = PRESETS["cached"]) -> Runtime:
        opened.append(Runtime(driver=FaultyDriver(driver, *faults), policy=policy))
        return opened[-1]

    yield open_faulty
    for runtime in opened:
        free_all(runtime)
        runtime.close()


def free_all(runtime: Runtime) -> None:
    """Free what a test left alive, so that closing warns only where a test means it to."""
    if runtime.is_open:
        for buffer in runtime.live_buffers():
            runtime.free(buffer)
