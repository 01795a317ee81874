"""Devices by name, with adapters that this machine may not have."""

import builtins
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gpusim import PRESETS, Runtime, devices, simulated
from gpusim.devices import adapters, find_adapter, open_device
from gpusim.errors import NoDevice


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """Each test asks for the machine's adapters itself, and none finds those of another."""
    devices._ask_wgpu.cache_clear()
    yield
    devices._ask_wgpu.cache_clear()


def native(backend: str, kind: str, device: str = "thing") -> Any:
    info = {"backend_type": backend, "adapter_type": kind, "device": device, "description": ""}
    return SimpleNamespace(info=info)


def on_a_machine(monkeypatch: pytest.MonkeyPatch, *natives: Any) -> None:
    import wgpu

    gpu = SimpleNamespace(enumerate_adapters_sync=lambda: list(natives))
    monkeypatch.setattr(wgpu, "gpu", gpu)
    monkeypatch.setitem(sys.modules, "wgpudawn", None)
    devices._ask_wgpu.cache_clear()


def test_the_best_come_first_and_others_of_a_backend_have_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_a_machine(
        monkeypatch,
        native("OpenGL", "DiscreteGPU"),
        native("Vulkan", "CPU"),
        native("Vulkan", "IntegratedGPU", "small"),
        native("D3D12", "DiscreteGPU"),
        native("Vulkan", "DiscreteGPU", "big"),
        native("Null", "CPU"),
    )
    assert [(adapter.name, adapter.description) for adapter in adapters()] == [
        ("vulkan", "big, DiscreteGPU"),
        ("d3d12", "thing, DiscreteGPU"),
        ("vulkan:1", "small, IntegratedGPU"),
        ("vulkan:2", "thing, CPU"),
        ("gl", "thing, DiscreteGPU"),
        ("simulated", "a WebGPU device in pure Python"),
    ]
    assert find_adapter().name == "vulkan"
    assert find_adapter("vulkan:2").description == "thing, CPU"
    with pytest.raises(NoDevice, match="metal"):
        find_adapter("metal")


def test_adapters_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch, native("OpenGL", "CPU"))
    (first, _), (second, _) = adapters(), adapters()
    assert first.native is second.native


def test_a_machine_without_adapters_still_simulates(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch)
    assert [adapter.name for adapter in adapters()] == ["simulated"]
    assert find_adapter("best").name == "simulated"
    with pytest.raises(NoDevice, match="apt-get install mesa-vulkan-drivers libegl1"):
        open_device("vulkan")


def test_a_native_library_that_cannot_be_loaded_is_no_adapter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "wgpu":
            raise OSError("libwgpu_native.so: cannot open shared object file")
        return real_import(name, *rest)

    monkeypatch.delitem(sys.modules, "wgpu")
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert adapters()[0].name == "simulated"


def test_a_runtime_takes_the_best_adapter_and_says_what_to_install_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = native("Vulkan", "DiscreteGPU")
    best.request_device_sync = simulated.open_device
    on_a_machine(monkeypatch, native("OpenGL", "CPU"), best)
    with Runtime() as runtime:
        assert runtime.alloc(4).nbytes == 4
        runtime.free(*runtime.live_buffers())
    on_a_machine(monkeypatch)
    with pytest.raises(
        NoDevice, match=r"no adapter \(probably a missing driver: .*apt-get install mesa-vulkan"
    ):
        Runtime()


def test_a_native_library_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import wgpu

    def fail() -> None:
        raise RuntimeError("the library is of another version")

    monkeypatch.setattr(wgpu, "gpu", SimpleNamespace(enumerate_adapters_sync=fail))
    assert adapters()[0].name == "simulated"
    with pytest.raises(NoDevice, match="wgpu cannot be used: the library is of another version"):
        Runtime()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_runtime_is_made_of_names(device_name: str, preset: str) -> None:
    with Runtime(device_name, preset) as runtime:
        assert runtime.policy == PRESETS[preset]
    with Runtime("simulated", f"{preset} staging_buffers=2") as runtime:
        assert runtime.policy.staging_buffers == 2


def test_a_misspelt_device_is_no_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch)
    with pytest.raises(NoDevice, match=r"has simulated \(probably a misspelling\)"):
        open_device("vlkan")


def test_an_adapter_that_gives_no_device_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("out of devices")

    broken = native("Vulkan", "CPU")
    broken.request_device_sync = refuse
    on_a_machine(monkeypatch, broken)
    with pytest.raises(NoDevice, match="'vulkan' because its adapter gives none: out of devices"):
        open_device("vulkan")


def dawn(monkeypatch: pytest.MonkeyPatch, enumerate_adapters: Callable[[], list[Any]]) -> None:
    gpu = SimpleNamespace(enumerate_adapters_sync=enumerate_adapters)
    monkeypatch.setitem(sys.modules, "wgpudawn", SimpleNamespace(gpu=gpu))


def test_dawn_has_names_of_its_own_and_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch)
    found = [native("Vulkan", "CPU", "soft"), native("Null", "CPU"), native("D3D12", "DiscreteGPU")]
    dawn(monkeypatch, lambda: found)
    assert [(adapter.name, adapter.description) for adapter in adapters()] == [
        ("simulated", "a WebGPU device in pure Python"),
        ("dawn", "thing, DiscreteGPU"),
        ("dawn:1", "soft, CPU"),
    ]
    assert find_adapter().name == "simulated"
    assert find_adapter("dawn:1").native is found[0]


def test_an_adapter_of_dawn_is_a_new_one_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives one device only."""
    on_a_machine(monkeypatch)
    dawn(monkeypatch, lambda: [native("Vulkan", "CPU")])
    assert find_adapter("dawn").native is not find_adapter("dawn").native


def test_who_asks_for_no_dawn_loads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch, native("Vulkan", "CPU"))
    dawn(monkeypatch, lambda: pytest.fail("Dawn was asked"))
    assert find_adapter("vulkan").name == find_adapter().name == "vulkan"


def test_a_missing_dawn_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_machine(monkeypatch)
    with pytest.raises(NoDevice, match=r"has simulated \(probably not installed: pip install"):
        open_device("dawn")
    dawn(monkeypatch, list)
    with pytest.raises(NoDevice, match="no driver that Dawn can use"):
        open_device("dawn")

    def fail() -> list[Any]:
        raise RuntimeError("the library is of another version")

    dawn(monkeypatch, fail)
    with pytest.raises(NoDevice, match="wgpudawn cannot be used: the library is of another"):
        open_device("dawn:1")


def test_the_simulated_device_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_enumerate", None)
    assert open_device("simulated").queue is not None
