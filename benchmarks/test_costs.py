"""What a dispatch, a write and a readback cost, by policy.

Times are of whole rounds, with the GPU's work in them: on a software adapter
that work is most of it.  Nothing here is asserted about time.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gpusim.kernels import AFFINE
from gpusim.runtime import Buffer, Policy, Runtime, WgpuDriver

_DISPATCHES = 100
_WORDS = 1024


@pytest.fixture
def runtime(device: Any, policy: Policy) -> Iterator[Runtime]:
    """A runtime of each preset."""
    with Runtime(driver=WgpuDriver(device), policy=policy) as runtime:
        yield runtime


@pytest.fixture
def words(runtime: Runtime) -> Iterator[Buffer]:
    """A buffer of 1,024 words, and everything compiled that works on it."""
    buffer = runtime.alloc(_WORDS * 4)
    runtime.dispatch(AFFINE, [buffer], (1, 0), _WORDS // 64)
    runtime.sync()
    yield buffer
    runtime.free(buffer)


def test_dispatches_with_scalars_of_their_own(
    benchmark: BenchmarkFixture, runtime: Runtime, words: Buffer
) -> None:
    """100 dependent dispatches and a sync; no two with the same scalars."""

    def round_of_dispatches() -> None:
        for n in range(_DISPATCHES):
            runtime.dispatch(AFFINE, [words], (3, n), _WORDS // 64)
        runtime.sync()

    benchmark.extra_info["dispatches"] = _DISPATCHES
    benchmark(round_of_dispatches)
    assert runtime.stats().dispatches % _DISPATCHES == 1


def test_readback(benchmark: BenchmarkFixture, runtime: Runtime, words: Buffer) -> None:
    """4 KiB back to the host, waited for one by one."""
    value = benchmark(lambda: runtime.read(words, dtype=np.uint32).result())
    assert value.tolist() == [0] * _WORDS


def test_write_and_readback(benchmark: BenchmarkFixture, runtime: Runtime, words: Buffer) -> None:
    """4 KiB to the device and back."""
    data = np.arange(_WORDS, dtype=np.uint32)

    def there_and_back() -> Any:
        runtime.write(words, data)
        return runtime.read(words, dtype=np.uint32).result()

    assert benchmark(there_and_back).tolist() == data.tolist()
