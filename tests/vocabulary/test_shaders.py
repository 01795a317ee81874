"""Kernels made of WGSL alone: signature, meaning, and what cannot be made one."""

from typing import Any

import numpy as np
import pytest

from gpusim.errors import ProgramError
from gpusim.kernels import AFFINE, Kernel
from gpusim.wgsl import compile_module

pytestmark = pytest.mark.unit
TEXT = """
struct Args { a: u32, @align(16) b: i32 }
@group(1) @binding(4) var<storage, read_write> data: array<u32>;
@group(0) @binding(2) var<storage> source: array<i32>;
@group(2) @binding(0) var<uniform> args: Args;
@compute @workgroup_size(8, 4)
fn turn(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u) {
    let i = g.y * n.x * 8u + g.x;
    if (i >= arrayLength(&data)) { return; }
    data[i] = data[i] * args.a + u32(args.b) + u32(source[i % arrayLength(&source)]);
}
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) g: vec3u) {
    data[g.x] = g.x;
}
"""


def test_the_signature_is_read_and_the_places_become_the_runtimes() -> None:
    kernel = Kernel.from_wgsl(TEXT, entry_point="turn", name="mine")
    assert kernel.name == "mine"
    assert [(each.name, each.dtype, each.access) for each in kernel.buffers] == [
        ("source", "i32", "read"),
        ("data", "u32", "read_write"),
    ]
    assert [each.dtype for each in kernel.scalars] == ["u32"] * 4 + ["i32"] + ["u32"] * 3
    assert (kernel.group_size, kernel.takes_grid, kernel.tolerance) == (32, True, None)
    module = compile_module(kernel.wgsl())
    assert module.entry_points == ("main", "turn_other")
    places = {each.name: (each.group, each.binding) for each in module.entry("main").point.bindings}
    assert places == {"source": (0, 0), "data": (0, 1), "args": (0, 2)}


def test_a_helper_called_main_is_renamed_wherever_it_is_called() -> None:
    text = """
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        fn main(v: u32) -> u32 { return v + go_other(v); }
        fn go_other(v: u32) -> u32 { let main = v; return main; }
        @compute @workgroup_size(1) fn go() { x[0] = main(x[0]) + main(1u); }
    """
    kernel = Kernel.from_wgsl(text, entry_point="go")
    x = np.array([5], np.uint32)
    again = Kernel.from_wgsl(kernel.wgsl(), entry_point="main")
    again.meaning((x,), (), (1, 1, 1))
    assert x.tolist() == [12]


def test_it_means_what_it_says_over_a_grid() -> None:
    kernel = Kernel.from_wgsl(TEXT, entry_point="turn")
    source, data = np.array([-1, 5], np.int32), np.arange(70, dtype=np.uint32)
    scalars = tuple(np.uint32(value) for value in (3, 0, 0, 0, 7, 0, 0, 0))
    kernel.meaning((source, data), scalars, (2, 1, 1))
    expected = [(3 * i + 7 + (-1, 5)[i % 2]) % 2**32 if i < 64 else i for i in range(70)]
    assert data.tolist() == expected


def test_a_meaning_of_its_own_may_be_given() -> None:
    kernel = Kernel.from_wgsl(AFFINE.wgsl(), name="same", meaning=AFFINE.meaning)
    assert (kernel.meaning, kernel.varied, kernel.takes_grid) == (AFFINE.meaning, None, False)


def test_atomics_are_found_by_type_and_not_by_name() -> None:
    text = """
    struct atomics { f: f32 }
    struct Count { n: atomic<u32> }
    @group(0) @binding(0) var<storage, read_write> a: atomics;
    @group(0) @binding(1) var<storage, read_write> b: Count;
    @compute @workgroup_size(1) fn main() { a.f = 1.0; atomicAdd(&b.n, 1u); }
    """
    kernel = Kernel.from_wgsl(text)
    shapes = [(each.name, each.dtype, each.atomic) for each in kernel.buffers]
    assert shapes == [("a", "f32", False), ("b", "u32", True)]


def test_vectors_structs_and_half_floats_are_words() -> None:
    text = """
    enable f16;
    struct Both { f: f32, u: vec2u, rest: array<vec3f> }
    @group(0) @binding(0) var<storage> a: array<vec4f>;
    @group(0) @binding(1) var<storage, read_write> b: Both;
    @group(0) @binding(2) var<storage> c: array<f16>;
    @compute @workgroup_size(1) fn main() { b.rest[1] = a[0].xyz * f32(c[3]); b.u.x = 7u; }
    """
    kernel = Kernel.from_wgsl(text)
    shapes = [(each.name, each.dtype, each.least_bytes) for each in kernel.buffers]
    assert shapes == [("a", "f32", 16), ("b", "u32", 32), ("c", "u32", 4)]
    a = np.array([1, 2, 3, 4], np.float32)
    b = np.zeros(12, np.uint32)
    kernel.meaning((a, b, np.array([0, 0x38000000], np.uint32)), (), (1, 1, 1))
    assert b[8:11].view(np.float32).tolist() == [0.5, 1.0, 1.5]
    assert b[2] == 7


MAIN = "@compute @workgroup_size(1) fn main() {"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("fn f() {", {}, "line 1, column 9: expected '}'"),
    (TEXT, {}, "entry point '' because the shader has the entry points turn, main"),
    (TEXT, {"entry_point": "other"}, "entry point 'other'"),
    (
        "@group(0) @binding(0) var<storage> z: array<u32>;\n"
        "@group(0) @binding(1) var<uniform> x: u32; @group(0) @binding(2) var<uniform> y: u32;\n"
        f"{MAIN} _ = x + y + z[0]; }}",
        {},
        "cannot take y because a kernel has one uniform buffer",
    ),
    (f"{MAIN} }}", {}, "binds no buffer"),
]


@pytest.mark.parametrize(("text", "arguments", "because"), REFUSED)
def test_what_is_no_kernel_is_refused(text: str, arguments: Any, because: str) -> None:
    with pytest.raises(ProgramError, match=because):
        Kernel.from_wgsl(text, **arguments)
