"""Each difference between the specification and wgpu-native, shown on both profiles.

The scenario of a field of ``Profile`` is the function of its name; what it
shows under "spec" is decided by the sentence that docs/simulated.md cites, and
what it shows under "wgpu-native" is held against the real adapters, in a
process of its own, which may abort.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import wgpu

import gpusim.devices
from gpusim.simulated import PROFILES, Profile, open_device, strategy
from tests.simulated.conformance.player import SWING
from tests.simulated.recording import bind, record

U = wgpu.BufferUsage
ALL = U.STORAGE | U.COPY_SRC | U.COPY_DST
STAGING = U.MAP_READ | U.COPY_DST
ABORT = "abort"
DOCUMENT = Path(__file__).parents[2] / "docs" / "simulated.md"


def shown(action: Callable[[], Any]) -> str:
    """The error class that an action raises, ``abort``, or ``ok`` and its value."""
    try:
        value = action()
    except Exception as error:
        return ABORT if "aborts the process" in str(error) else type(error).__name__
    return "ok" if value is None else f"ok {value}"


def buffer(device: Any, size: int = 64, usage: int = ALL) -> Any:
    return device.create_buffer(size=size, usage=usage)


def storage_layout(device: Any, **more: Any) -> Any:
    entry = {"binding": 0, "visibility": 4, "buffer": {"type": "storage"}, **more}
    return device.create_bind_group_layout(entries=[entry])


def copied(device: Any, source: Any, target: Any, *size: int) -> Any:
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, target, 0, *size)
    return encoder.finish()


def refuses_aliased_writes(device: Any) -> str:
    module = device.create_shader_module(code=SWING.wgsl())
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
    twice = buffer(device)
    uniform = buffer(device, 16, U.UNIFORM)
    group = bind(device, pipeline.get_bind_group_layout(0), twice, twice, uniform)
    encoder = record(device.create_command_encoder(), pipeline, group)
    return shown(lambda: encoder.finish() and None)


def binds_destroyed_buffers(device: Any) -> str:
    gone = buffer(device)
    gone.destroy()
    return shown(lambda: bind(device, storage_layout(device), gone) and None)


def defaults_copy_size(device: Any) -> str:
    return shown(lambda: copied(device, buffer(device), buffer(device)) and None)


def clears_nothing(device: Any) -> str:
    return shown(lambda: device.create_command_encoder().clear_buffer(buffer(device), 0, 0))


def maps_nothing(device: Any) -> str:
    return shown(lambda: buffer(device, 64, STAGING).map_sync(1, 0, 0))


def writes_nothing(device: Any) -> str:
    target = buffer(device)
    device.queue.write_buffer(target, 0, bytes([7] * 8), 0, 0)
    empty = shown(lambda: device.queue.write_buffer(target, 0, b""))
    return f"{bytes(device.queue.read_buffer(target, 0, 4)).hex()} {empty}"


def failed_map_unmaps(device: Any) -> str:
    wrong = buffer(device)
    assert shown(lambda: wrong.map_async(1)) == "GPUValidationError"
    return str(wrong.map_state)


def unmap_cancels(device: Any) -> str:
    staging = buffer(device, 64, STAGING)
    promise = staging.map_async(1)
    return f"{shown(staging.unmap)} {shown(promise.sync_wait)}"


def destroy_unmaps(device: Any) -> str:
    staging = buffer(device, 64, STAGING)
    staging.map_sync(1)
    staging.destroy()
    return f"{staging.map_state} {shown(staging.read_mapped)}"


def loss_is_silent(device: Any) -> str:
    device.destroy()
    return shown(lambda: buffer(device) and None)


def loss_settles_maps(device: Any) -> str:
    """The map of a buffer in use, and that of an idle one."""
    busy = buffer(device, 64, STAGING)
    device.queue.submit([copied(device, buffer(device), busy, 64)])
    in_use, idle = busy.map_async("READ_NOSYNC"), buffer(device, 64, STAGING).map_async(1)
    device.destroy()
    settled = in_use._thread_event.wait(0.01)
    return f"{settled} {shown(in_use.sync_wait)} {shown(idle.sync_wait)}"


def lose_with_a_map(device: Any) -> tuple[Any, Any]:
    """A buffer that nothing ever used, and its map, asked for before the device is destroyed."""
    idle = buffer(device, 64, STAGING)
    promise = idle.map_async("READ_NOSYNC")
    native = getattr(device, "_internal", None)
    device.destroy()
    if native is not None:
        from wgpu.backends.wgpu_native._api import ffi, libf

        # wgpu-py's thread, which polls the device, ends with it: whether it still did is a race.
        libf.wgpuDevicePoll(native, False, ffi.NULL)
    return idle, promise


def map_of_an_idle_buffer(device: Any) -> str:
    idle, promise = lose_with_a_map(device)
    return f"{shown(promise.sync_wait)} {idle.map_state}"


def bytes_of_that_map(device: Any) -> str:
    idle, promise = lose_with_a_map(device)
    promise.sync_wait()
    return shown(idle.read_mapped)


def tells_loss(device: Any) -> str:
    return shown(lambda: device.lost_async and None)


def tells_work_done(device: Any) -> str:
    return shown(device.queue.on_submitted_work_done_sync)


def finish_tells_all(device: Any) -> str:
    gone = buffer(device)
    gone.destroy()
    return shown(lambda: copied(device, gone, buffer(device), 128) and None)


def ends_nested_passes(device: Any) -> str:
    encoder = device.create_command_encoder()
    encoder.begin_compute_pass()
    return shown(encoder.begin_compute_pass().end)


def submit_raises(device: Any) -> str:
    source = buffer(device)
    commands = copied(device, source, buffer(device), 64)
    source.destroy()
    return shown(lambda: device.queue.submit([commands]))


def unsets_bind_groups(device: Any) -> str:
    layouts = shown(lambda: device.create_pipeline_layout(bind_group_layouts=[None]) and None)
    compute_pass = device.create_command_encoder().begin_compute_pass()
    return f"{layouts} {shown(lambda: compute_pass.set_bind_group(0, None))}"


def checks_visibility(device: Any) -> str:
    return shown(lambda: storage_layout(device, visibility=12) and None)


def checks_entry_types(device: Any) -> str:
    return shown(lambda: storage_layout(device, sampler={}) and None)


def usage_raises(device: Any) -> str:
    return shown(lambda: buffer(device, 64, ALL | 1 << 12) and None)


def map_mode_raises(device: Any) -> str:
    return shown(lambda: buffer(device, 64, STAGING).map_sync(3))


def empty_binding_raises(device: Any) -> str:
    return shown(lambda: bind(device, storage_layout(device), buffer(device, 0)) and None)


def refuses_missed_barriers(device: Any) -> str:
    text = (
        "@compute @workgroup_size(4) fn main(@builtin(local_invocation_index) lane: u32) {\n"
        "    if (lane < 2u) { workgroupBarrier(); }\n}"
    )
    return shown(lambda: device.create_shader_module(code=text) and None)


def refuses_aliased_pointers(device: Any) -> str:
    text = (
        "fn f(p: ptr<function, u32>, q: ptr<function, u32>) { *p = *q; }\n"
        "fn g() { var x = 1u; f(&x, &x); }"
    )
    return shown(lambda: device.create_shader_module(code=text) and None)


def extends_the_language(device: Any) -> str:
    texts = (
        "@group(0) @binding(0) var<uniform> u: array<f32, 4>;",
        "fn f(p: ptr<workgroup, u32>) { }",
        "requires immediate_address_space;",
    )
    made = device.create_shader_module
    return " ".join(shown(partial(made, code=text)).split()[0] for text in texts)


REFUSED = "GPUValidationError"
SHOWN: dict[Callable[[Any], str], tuple[str, str]] = {
    refuses_aliased_writes: (REFUSED, "ok"),
    binds_destroyed_buffers: ("ok", REFUSED),
    defaults_copy_size: ("ok", REFUSED),
    clears_nothing: ("ok", "ValueError"),
    maps_nothing: ("ok", "ValueError"),
    writes_nothing: ("00000000 ok", "07070707 ValueError"),
    failed_map_unmaps: ("unmapped", "pending"),
    unmap_cancels: ("ok RuntimeError", "RuntimeError ok"),
    destroy_unmaps: ("unmapped RuntimeError", f"mapped {ABORT}"),
    loss_is_silent: ("ok", REFUSED),
    loss_settles_maps: ("True RuntimeError RuntimeError", "False RuntimeError ok"),
    tells_loss: ("ok", "AttributeError"),
    tells_work_done: ("ok", "TypeError"),
    finish_tells_all: (REFUSED, "ok"),
    ends_nested_passes: ("ok", REFUSED),
    submit_raises: (REFUSED, ABORT),
    unsets_bind_groups: ("ok ok", "AttributeError AttributeError"),
    checks_visibility: (REFUSED, "ok"),
    checks_entry_types: (REFUSED, "ok"),
    usage_raises: (REFUSED, ABORT),
    map_mode_raises: (REFUSED, ABORT),
    empty_binding_raises: (REFUSED, ABORT),
    refuses_missed_barriers: (REFUSED, "ok"),
    refuses_aliased_pointers: (REFUSED, "ok"),
    extends_the_language: ("ok ok ok", f"{REFUSED} {REFUSED} {REFUSED}"),
}
"""What each scenario shows: under the specification, and on wgpu-native."""
IDLE = {map_of_an_idle_buffer: "ok mapped", bytes_of_that_map: ABORT}
"""What comes of a map that goes well after its device was lost, on wgpu-native."""
HANGS = (loss_settles_maps,)
"""Scenarios that would wait for ever on a real adapter."""
DIFFERENCES = [name for name in Profile.__slots__ if name != "name"]


@pytest.mark.parametrize("scenario", SHOWN, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_difference_shows(scenario: Callable[[Any], str], profile: str) -> None:
    device = open_device(profile=profile)
    assert scenario(device) == SHOWN[scenario][list(PROFILES).index(profile)]


@pytest.mark.parametrize("scenario", SHOWN, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_restart_keeps_every_difference(scenario: Callable[[Any], str], profile: str) -> None:
    device = open_device(profile=profile)
    device.restart(strategy("late"))
    assert scenario(device) == SHOWN[scenario][list(PROFILES).index(profile)]


def test_every_difference_has_a_scenario() -> None:
    assert [scenario.__name__ for scenario in SHOWN] == DIFFERENCES
    assert all(spec != native for spec, native in SHOWN.values())


def test_the_document_lists_just_these() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == DIFFERENCES
    assert len(rows) <= 25


def on_real(backend: str, scenarios: list[str]) -> list[str]:
    """What scenarios show on a real adapter, in one process; ``abort`` where that ends it."""
    command = [sys.executable, str(Path(__file__)), backend, *scenarios]
    environment = {**os.environ, "PYTHONPATH": str(DOCUMENT.parents[1])}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    lines = done.stdout.splitlines()
    return lines if done.returncode == 0 else [*lines, ABORT]


def test_the_map_of_an_idle_buffer_outlives_the_device() -> None:
    """Where wgpu-native loses a device, only a map that waits for the queue is left hanging."""
    for scenario, shows in IDLE.items():
        assert scenario(open_device(profile="wgpu-native")) == shows
    if "vulkan" in [adapter.name for adapter in gpusim.devices.adapters()]:
        assert on_real("vulkan", [each.__name__ for each in IDLE]) == list(IDLE.values())


def test_a_real_adapter_shows_the_same() -> None:
    """Vulkan alone: GL's lock gives up, and aborts, where a machine is busy for a second."""
    if "vulkan" not in [adapter.name for adapter in gpusim.devices.adapters()]:
        pytest.skip("this machine has no vulkan adapter")
    native = {it.__name__: shows for it, (_, shows) in SHOWN.items() if it not in HANGS}
    calm = [name for name, shows in native.items() if ABORT not in shows]
    assert on_real("vulkan", calm) == [native[name] for name in calm]
    for name in native:
        if name not in calm:
            assert on_real("vulkan", [name]) == [ABORT], name


def show_on_real(backend: str, names: list[str]) -> None:
    """Print what each scenario shows on a device of its own."""
    scenarios = {scenario.__name__: scenario for scenario in (*SHOWN, *IDLE)}
    for name in names:
        print(scenarios[name](gpusim.devices.open_device(backend)), flush=True)


if __name__ == "__main__":
    show_on_real(sys.argv[1], sys.argv[2:])
