"""The driver below wgpu-py issues the very calls that the one above it does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from wgpu.backends.wgpu_native import _api

from gpusim.errors import SubmitFailed
from gpusim.kernels import AFFINE, FOLD, SCRAMBLE
from gpusim.runtime import PRESETS, NativeDriver, Runtime, WgpuDriver, driver_for
from gpusim.runtime.commands import DispatchCommand

_CALLS = ("SetPipeline", "SetBindGroup", "DispatchWorkgroups")


@pytest.fixture
def native_device(device: Any) -> Any:
    """The device under test where it is wgpu-py's own; the simulated one has no calls below."""
    if not isinstance(device, _api.GPUDevice):
        pytest.skip("a simulated device has no native calls")
    return device


class Recorded:
    """The native calls of a compute pass, with handles by the order they were first seen."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._numbers: dict[Any, int] = {}

    def wrap(self, name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            self.calls.append((name, *map(self._plain, args)))
            return function(*args)

        return call

    def _plain(self, value: Any) -> Any:
        if isinstance(value, int):
            return value
        if value == _api.ffi.NULL or "uint32_t" in str(_api.ffi.typeof(value)):
            size = 0 if value == _api.ffi.NULL else len(value)
            return tuple(value[at] for at in range(size))
        return f"handle {self._numbers.setdefault(value, len(self._numbers))}"


def work(runtime: Runtime) -> bytes:
    """Dispatches with and without scalars, repeats, and a copy between two passes."""
    a, b = runtime.alloc(64), runtime.alloc(64)
    runtime.write(a, np.arange(16, dtype=np.uint32))
    for scalar in range(3):
        runtime.dispatch(AFFINE, [a], [3, scalar])
        runtime.dispatch(SCRAMBLE, [a], grid=(1, 2, 1))
        runtime.dispatch(SCRAMBLE, [a], grid=(1, 2, 1))
    runtime.copy(a, b)
    runtime.dispatch(FOLD, [a, b], [7])
    data = bytes(runtime.read(b).result())
    runtime.free(a)
    runtime.free(b)
    return data


@pytest.mark.parametrize("preset", ["cached", "ring"])
def test_both_drivers_issue_the_same_native_calls(
    native_device: Any, preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = Recorded()
    driver = NativeDriver(native_device)
    prefix = "wgpuComputePassEncoder"
    driver._lib = SimpleNamespace(
        **{prefix + name: below.wrap(name, getattr(_api.lib, prefix + name)) for name in _CALLS}
    )
    with Runtime(driver=driver, policy=PRESETS[preset]) as runtime:
        data = work(runtime)

    above = Recorded()
    for name in _CALLS:
        wrapped = above.wrap(name, getattr(_api.libf, prefix + name))
        monkeypatch.setattr(_api.libf, prefix + name, wrapped)
    monkeypatch.setattr(
        _api.GPUComputePassEncoder,
        "_set_bind_group_function",
        staticmethod(getattr(_api.libf, prefix + "SetBindGroup")),
    )
    with Runtime(driver=WgpuDriver(native_device), policy=PRESETS[preset]) as runtime:
        assert work(runtime) == data
    assert len(below.calls) > 10
    assert below.calls == above.calls


def test_the_native_driver_is_the_default_on_its_own_backend(native_device: Any) -> None:
    assert type(driver_for(native_device)) is NativeDriver


def test_an_error_inside_a_native_pass_is_raised_not_logged(native_device: Any) -> None:
    driver = NativeDriver(native_device)
    with Runtime(driver=driver) as runtime:
        a = runtime.alloc(64)
        runtime.dispatch(AFFINE, [a], [3, 5])
        command = runtime._recorder._batch.commands[0]
        assert isinstance(command, DispatchCommand)
        runtime._recorder._batch.commands[0] = command._replace(uniform_offset=3)
        with pytest.raises(SubmitFailed):
            runtime.flush()
        runtime.free(a)
