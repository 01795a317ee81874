"""Entry points, bindings, overrides, layouts and constants of a text."""

import numpy as np
import pytest

from gpusim.wgsl import ShaderError, compile_module
from tests.wgsl.shaders import outcome, shader

pytestmark = pytest.mark.unit
OVERRIDES = """
override size: u32 = 4;
@id(7) override factor: f32;
override on: bool = false;
@group(1) @binding(3) var<storage, read_write> o: array<f32>;
var<workgroup> s: array<f32, size>;
@compute @workgroup_size(size) fn main(@builtin(local_invocation_index) l: u32) {
    s[l] = f32(l) * factor; o[l] = select(s[l], -s[l], on);
}
@compute @workgroup_size(1) fn other() { o[0] = 3.5; }
"""
LAYOUT = """
struct Inner { v: vec3f, s: f32, m: mat3x2f }
struct Outer { a: u32, @size(32) b: Inner2, @align(64) c: array<Inner, 2> }
struct Inner2 { x: vec2<u32> }
@group(0) @binding(0) var<storage> x: Outer;
@compute @workgroup_size(1) fn main() { _ = x.a; }
"""


def test_overrides_decide_sizes_and_values() -> None:
    module = compile_module(OVERRIDES)
    assert module.entry_points == ("main", "other")
    with pytest.raises(ShaderError, match="the override factor has no value"):
        module.entry("main")
    for constants, expected in (
        ({"7": 0.5}, [0, 0.5, 1, 1.5, 0, 0, 0, 0]),
        ({"7": 2, "size": 3, "on": 1}, [0, -2, -4, 0, 0, 0, 0, 0]),
    ):
        entry = module.entry("main", constants)
        words = np.zeros(8, np.float32)
        entry.bind([words.view(np.uint8)])(1, 1, 1)
        assert words.tolist() == expected
        assert entry.point.bindings[0].group == 1
        assert entry.point.bindings[0].binding == 3


def test_memory_is_laid_out_as_the_rules_say() -> None:
    binding = compile_module(LAYOUT).entry("main").point.bindings[0]
    members = {member.name: member.offset for member in binding.type.members}  # type: ignore[union-attr]
    assert members == {"a": 0, "b": 8, "c": 64}
    assert binding.least_bytes == 192


CONSTANTS = [
    ("5 / 2", "i32", 2),
    ("-5 / 2", "i32", -2),
    ("-5 % 3", "i32", -2),
    ("7u << 3u", "u32", 56),
    ("2147483647i + 2i", "i32", 1 - 2**31),
    ("0u - 1u", "u32", 2**32 - 1),
    ("i32(-3.9f)", "i32", -3),
    ("u32(1e20f)", "u32", 4294967040),
    ("bitcast<i32>(0xffffffffu)", "i32", -1),
    ("bitcast<u32>(1.0f)", "u32", 0x3F800000),
    ("vec3(1, 2, 3).z", "i32", 3),
    ("dot(vec3(1, 2, 3), vec3(4, 5, 6))", "i32", 32),
    ("clamp(9, 1, 5)", "i32", 5),
    ("countOneBits(255u)", "u32", 8),
    ("firstLeadingBit(-1i)", "i32", -1),
    ("extractBits(0xf0u, 4u, 4u)", "u32", 15),
    ("insertBits(0u, 5u, 4u, 3u)", "u32", 0x50),
    ("reverseBits(1u)", "u32", 1 << 31),
    ("pack4x8unorm(vec4f(1))", "u32", 2**32 - 1),
    ("u32(unpack2x16float(0x3c00u).x)", "u32", 1),
    ("select(1, 2, 3 > 2)", "i32", 2),
    ("u32(determinant(mat2x2(1, 2, 3, 5)) * -4)", "u32", 4),
    ("array(3u, 4u, 5u)[1]", "u32", 4),
    ("i32(frexp(8.0).exp)", "i32", 4),
    ("u32(mix(1.0, 3.0, 0.5))", "u32", 2),
    ("u32(length(vec2(3.0, 4.0)))", "u32", 5),
    ("dot4U8Packed(0x01020304u, 0x01010101u)", "u32", 10),
]


@pytest.mark.parametrize(("expression", "kind", "value"), CONSTANTS)
def test_a_constant_and_a_run_mean_the_same(expression: str, kind: str, value: int) -> None:
    held = f"const_assert {expression} == {value}{kind[0]};"
    as_word = "bitcast<u32>(x)" if kind == "i32" else "x"
    assert outcome(shader(f"{held} let x = {expression}; o[i] = {as_word};"))[0] == value % 2**32
