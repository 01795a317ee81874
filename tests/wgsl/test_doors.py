"""The ways to the checks of shaders: one kernel, a test's helper, a session, and its replay."""

from pathlib import Path

import numpy as np
import pytest

from gpusim import Kernel, ProgramError, Runtime
from gpusim.kernels import BUILTIN
from gpusim.simulated import open_device
from gpusim.testing import ShaderMistaken, TargetFailed, check_kernel, replay
from gpusim.wgsl.checks import Ledger
from properties.fuzz.engine import fuzz
from properties.fuzz.settings import Settings, gather
from properties.model.case import parse_device

TEXT = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&x)) {
        x[id.x / 2u] = id.x;
    }
}
"""
APPEND = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> n: array<atomic<u32>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = atomicAdd(&n[0], 1u);
    if (id.x < arrayLength(&x)) {
        x[at % arrayLength(&x)] = 1u;
    }
}
"""
"""Who is below the length has a place of its own, if invocations come in the order of numbers."""
FILE = f"""
from gpusim import Kernel

KERNELS = [Kernel.from_wgsl('''{TEXT}''', name="halves")]
"""


@pytest.mark.unit
def test_a_kernel_reports_who_and_what_and_where() -> None:
    (report,) = Kernel.from_wgsl(TEXT, name="halves").check([np.zeros(8, np.uint32)])
    assert str(report) == (
        "race: x, word 0: no barrier orders these accesses of two invocations, 4 times\n"
        "  line 6, column 9: invocation (0, 0, 0) of workgroup (0, 0, 0) wrote 0\n"
        "  line 6, column 9: invocation (1, 0, 0) of workgroup (0, 0, 0) wrote 1\n"
        "  in main, dispatched over (1, 1, 1)\n"
        "  what to do: let one invocation write it, give each its own word, or use an atomic"
    )


@pytest.mark.unit
def test_a_check_changes_no_buffer_and_takes_sizes() -> None:
    x = np.arange(8, dtype=np.uint32)
    kernel = Kernel.from_wgsl(TEXT)
    kernel.check([x])
    assert x.tolist() == [*range(8)]
    assert kernel.check([32])
    assert not kernel.check([4], grid=(1, 1, 1))


@pytest.mark.unit
def test_a_check_refuses_what_does_not_fit() -> None:
    with pytest.raises(ProgramError, match="takes 1 buffers and 2 were given"):
        Kernel.from_wgsl(TEXT).check([4, 4])
    with pytest.raises(ProgramError, match="x has 0 bytes and needs 4"):
        Kernel.from_wgsl(TEXT).check([0])


@pytest.mark.unit
def test_the_helper_of_tests_fails_with_the_reports() -> None:
    with pytest.raises(ShaderMistaken, match="line 6, column 9") as raised:
        check_kernel(TEXT, [32])
    assert [report.kind for report in raised.value.reports] == ["race"]
    check_kernel(TEXT.replace("id.x / 2u", "id.x"), [32])


@pytest.mark.unit
@pytest.mark.parametrize("kernel", BUILTIN.values(), ids=lambda kernel: kernel.name)
def test_built_in_kernels_have_no_mistake(kernel: Kernel) -> None:
    scalars = [0.5 if scalar.dtype == "f32" else 3 for scalar in kernel.scalars]
    check_kernel(kernel, [1000] * len(kernel.buffers), scalars, grid=4)


@pytest.mark.unit
def test_a_device_in_text_says_that_it_checks_shaders() -> None:
    text = "simulated scheduler=random seed=3 checks=shaders"
    assert parse_device(text).checks_shaders
    assert str(parse_device(text)) == text


def test_a_session_finds_a_mistake_in_a_shader_and_replays_it(tmp_path: Path) -> None:
    place = tmp_path / "halves.py"
    place.write_text(FILE)
    settings = gather(
        Settings,
        {},
        {},
        device="simulated",
        check_shaders=True,
        kernels=str(place),
        programs=60,
        findings=1,
        save=tmp_path / "found",
    )
    session = fuzz(settings, lambda _: None)
    (bug,) = session.bugs.met.values()
    assert str(bug.failure.kind) == "shader"
    with pytest.raises(TargetFailed, match="race: x, word 0"):
        replay(next((tmp_path / "found").glob("*.txt")), kernels=str(place))


def test_a_session_finds_what_only_another_order_of_atomics_shows(tmp_path: Path) -> None:
    place = tmp_path / "append.py"
    place.write_text(FILE.replace(TEXT, APPEND))
    settings = gather(
        Settings,
        {},
        {},
        device="simulated",
        scheduler="random",
        check_shaders=True,
        kernels=str(place),
        programs=200,
        findings=1,
        seed=2,
        save=tmp_path / "found",
    )
    (bug,) = fuzz(settings, lambda _: None).bugs.met.values()
    assert any(note.startswith("in another order") for note in bug.failure.notes)
    with pytest.raises(TargetFailed, match="in another order of workgroups and atomics"):
        replay(next((tmp_path / "found").glob("*.txt")), kernels=str(place))


@pytest.mark.unit
def test_a_device_reports_each_mistake_once_with_the_call() -> None:
    shown: list[str] = []
    ledger = Ledger(show=lambda report: shown.append(report.call))
    device = open_device(checks=ledger)
    with Runtime(device, "eager") as runtime:
        x = runtime.alloc(64)
        for _ in range(3):
            runtime.dispatch(Kernel.from_wgsl(TEXT), [x], grid=(1, 1, 1))
        runtime.sync()
        runtime.free(x)
    (report,) = ledger.reports
    assert report.count == 3 * 8
    assert len(shown) == 1
    assert Path(shown[0].rpartition(":")[0]).name == Path(__file__).name
