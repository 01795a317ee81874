"""The native driver issues the same native calls as the driver on wgpu-py, and fails as it does."""

import subprocess
import sys
import textwrap
from threading import Thread
from typing import Any

import numpy as np
import pytest
from wgpu import BufferUsage
from wgpu.backends.wgpu_native import _api

from gpusim.errors import SubmitFailed
from gpusim.kernels import AFFINE, FOLD, SCRAMBLE
from gpusim.runtime import PRESETS, NativeDriver, Runtime, WgpuDriver, driver_for
from gpusim.runtime.commands import DispatchCommand, Role

_PASS, _ENCODER = "wgpuComputePassEncoder", "wgpuCommandEncoder"
_CALLS = (
    _ENCODER + "BeginComputePass",
    _PASS + "SetPipeline",
    _PASS + "SetBindGroup",
    _PASS + "DispatchWorkgroups",
    _PASS + "End",
    _ENCODER + "CopyBufferToBuffer",
)


@pytest.fixture
def native_device(device: Any) -> Any:
    """The device under test where it is wgpu-native's: no other has calls for the native driver."""
    if not isinstance(device, _api.GPUDevice):
        pytest.skip("the native driver makes wgpu-native's calls, which this device has not")
    return device


@pytest.fixture(params=[NativeDriver, WgpuDriver])
def either_driver(request: pytest.FixtureRequest, device: Any) -> WgpuDriver:
    """Each driver that the device under test can have."""
    make: type[WgpuDriver] = request.param
    if make is NativeDriver:
        device = request.getfixturevalue("native_device")
    return make(device)


class Recorded:
    """The native calls that record, and what each was given besides what it records into.

    Handles are told by the order in which they were first seen.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._numbers: dict[Any, int] = {}

    def over(self, lib: Any) -> Any:
        """``lib``, each call of it written down."""
        recorded = self

        class Lib:
            def __getattr__(self, name: str) -> Any:
                function = getattr(lib, name)
                return recorded._wrap(name, function) if name in _CALLS else function

        return Lib()

    def _wrap(self, name: str, function: Any) -> Any:
        def call(*args: Any) -> Any:
            if name.startswith(_ENCODER + "Begin"):
                self.calls.append((name,))
            else:
                self.calls.append((name, *map(self._plain, args[1:])))
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
    driver._lib, driver._safe = below.over(_api.lib), below.over(_api.libf)
    with Runtime(driver=driver, policy=PRESETS[preset]) as runtime:
        data = work(runtime)

    above = Recorded()
    libf = above.over(_api.libf)
    monkeypatch.setattr(_api, "libf", libf)
    monkeypatch.setattr(
        _api.GPUComputePassEncoder,
        "_set_bind_group_function",
        staticmethod(getattr(libf, _PASS + "SetBindGroup")),
    )
    with Runtime(driver=WgpuDriver(native_device), policy=PRESETS[preset]) as runtime:
        assert work(runtime) == data
    assert len(below.calls) > 10
    assert below.calls == above.calls


def test_the_native_driver_is_the_default_on_its_own_backend_alone(device: Any) -> None:
    default = NativeDriver if isinstance(device, _api.GPUDevice) else WgpuDriver
    assert type(driver_for(device)) is default


def test_no_view_on_mapped_memory_outlives_its_take(either_driver: WgpuDriver) -> None:
    driver = either_driver
    page = driver.create_buffer(256, Role.STAGING)
    driver.submit(driver.encode([], "nothing", merge_passes=True))
    mapping = driver.map(page, 16)
    driver.wait(mapping)
    kept: list[memoryview] = []

    def keep(mapped: memoryview) -> bytes:
        kept.append(mapped)
        return bytes(mapped)

    assert driver.take(mapping, keep) == bytes(16)
    with pytest.raises(ValueError, match="released"):
        bytes(kept[0])
    driver.destroy_buffer(page)


def test_a_receiver_that_fails_may_be_followed_by_another(either_driver: WgpuDriver) -> None:
    driver = either_driver
    page = driver.create_buffer(256, Role.STAGING)
    driver.submit(driver.encode([], "nothing", merge_passes=True))
    mapping = driver.map(page, 16)

    def fails(mapped: memoryview) -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        driver.take(mapping, fails)
    assert driver.take(mapping, bytes) == bytes(16)
    driver.destroy_buffer(page)


def test_maps_settle_while_another_thread_polls_the_same_device(native_device: Any) -> None:
    own = native_device.create_buffer(size=16, usage=BufferUsage.MAP_READ | BufferUsage.COPY_DST)

    def map_again_and_again() -> None:
        for _ in range(100):
            own.map_async("READ_NOSYNC").sync_wait()
            own.unmap()

    other = Thread(target=map_again_and_again)
    with Runtime(driver=NativeDriver(native_device)) as runtime:
        a = runtime.alloc(64)
        other.start()
        for number in range(100):
            runtime.write(a, np.full(16, number, dtype=np.uint32))
            assert runtime.read(a, dtype=np.uint32).result().tolist() == [number] * 16
        other.join()
        runtime.free(a)


_LEAVES = """
    from gpusim.devices import open_device
    from gpusim.kernels import AFFINE
    from gpusim.runtime import Runtime

    runtime = Runtime(open_device("{device}"))
    a = runtime.alloc(1 << 20)
    runtime.dispatch(AFFINE, [a], (3, 5), 1000)
    ticket = runtime.read(a)
    runtime.flush()
    {end}
    print("left")
"""


@pytest.mark.parametrize("end", ["pass", "del runtime, a, ticket"])
def test_a_process_may_end_with_a_map_under_way(device_name: str, end: str) -> None:
    program = textwrap.dedent(_LEAVES).replace("{device}", device_name).replace("{end}", end)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr[-2000:]


def test_an_error_inside_a_pass_is_raised_not_logged(either_driver: WgpuDriver) -> None:
    driver = either_driver
    with Runtime(driver=driver) as runtime:
        a = runtime.alloc(64)
        runtime.dispatch(AFFINE, [a], [3, 5])
        command = runtime._recorder._batch.commands[0]
        assert isinstance(command, DispatchCommand)
        runtime._recorder._batch.commands[0] = command._replace(uniform_offset=3)
        with pytest.raises(SubmitFailed):
            runtime.flush()
        runtime.free(a)
