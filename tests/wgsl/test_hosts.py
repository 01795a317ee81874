"""What shipped shaders are dispatched with, where their own programs say it."""

from pathlib import Path

import numpy as np
import pytest

from gpusim.wgsl import compile_module
from tools.wgsl.hosts import bytes_for, host_of
from tools.wgsl.mistakes import look

pytestmark = pytest.mark.unit
LATER = """
struct Params { ne: u32, stride_dst1: u32, scale: f32, ne0: u32 }
@group(0) @binding(0) var<storage, read_write> dst: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let row = id.x / params.ne0;
    dst[row * params.stride_dst1 + id.x % params.ne0] = params.scale;
}
"""


def test_a_shader_that_is_known_gets_its_programs_numbers() -> None:
    host = host_of(Path("checkout/ggml/src/cpy.3.wgsl"))
    assert host is not None
    out, params = compile_module(LATER).entry("main").point.bindings
    count, none = bytes_for(host, out)
    assert (count, none) == (128, None)
    _, packed = bytes_for(host, params)
    assert packed is not None
    assert np.frombuffer(packed, np.uint32).tolist() == [128, 8, 0, 8]
    assert host_of(Path("checkout/other/cpy.wgsl")) is None


def test_made_up_strides_race_and_the_programs_own_do_not(tmp_path: Path) -> None:
    known = tmp_path / "ggml"
    known.mkdir()
    for folder in (tmp_path, known):
        (folder / "cpy.wgsl").write_text(LATER)
    assert [*look(known)] == []
    assert any("race: dst" in report for report in look(tmp_path))


def test_a_model_has_its_shaders_as_texts(tmp_path: Path) -> None:
    text = LATER.strip().replace("dst[row * params.stride_dst1 + id.x % params.ne0]", "dst[0]")
    data = b"\0\1// Function: fill\n" + text.encode() + b"\n\0\xff}\n"
    (tmp_path / "model.wasm").write_bytes(data)
    (report,) = look(tmp_path)
    assert report.startswith("fill.wgsl: race: dst, word 0")
