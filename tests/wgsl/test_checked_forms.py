"""Races in forms of WGSL that hide who writes what, each beside its sound twin."""

import numpy as np
import pytest

from gpusim.wgsl.checks import check_dispatch
from tests.wgsl.mistaken.case import HEAD, MAIN

pytestmark = pytest.mark.unit
_WORDS = "var<workgroup> s: array<u32, 64>;"
_ARGS = "@group(0) @binding(2) var<uniform> args: vec4u;\n"
_ONE = "\n@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {\n"
_CUBE = "@compute @workgroup_size(4, 4, 4) fn main(@builtin(global_invocation_id) id: vec3u) {\n"
_STRUCT = (
    "struct P { a: u32, b: vec3f, c: f32 }\n"
    "@group(0) @binding(0) var<storage, read_write> p: array<P>;" + _ONE
)
_PUT = (
    "fn add(to: ptr<function, u32>, by: u32) { *to += by; }\n"
    "fn put(at: u32, value: u32) { out[at] = value; }\n"
)
PAIRS = [
    ("many blocks", f"{HEAD}{MAIN} AT = x[id.x % 7u]; }}", "out[id.x % 100000u]", "out[id.x]"),
    ("a member", _STRUCT + "p[AT].a = id.x; }", "id.x / 2u", "id.x"),
    (
        "a member beside a vector of three",
        _STRUCT + "if (id.x % 2u == 0u) { p[id.x / 2u].b.z = 1.0; } "
        "else { p[id.x / 2u].AT = 2.0; } }",
        "b.z",
        "c",
    ),
    (
        "components of one vector",
        "@group(0) @binding(0) var<storage, read_write> p: array<vec4f>;"
        + _ONE
        + "p[AT][id.x % 4u] = 1.0; }",
        "id.x / 4u",
        "id.x",
    ),
    (
        "halves",
        "enable f16; @group(0) @binding(0) var<storage, read_write> p: array<vec2<f16>>;"
        + _ONE
        + "p[AT].x = 1.0h; }",
        "id.x / 2u",
        "id.x",
    ),
    (
        "a function and a pointer",
        f"{HEAD}{_PUT}{MAIN} var a = x[id.x]; add(&a, 3u); put(AT, a); }}",
        "id.x >> 1u",
        "id.x ^ 1u",
    ),
    (
        "a switch",
        f"{HEAD}{MAIN} switch id.x % 3u {{ case 0u: {{ out[id.x] = 1u; }} "
        "case 1u: { out[AT] = x[id.x]; } default: { out[id.x] = 5u; } } }",
        "id.x - 1u",
        "id.x",
    ),
    (
        "turns that are left out",
        f"{HEAD}{MAIN} for (var k = 0u; k < 4u; k++) {{ if (k == l % 4u) {{ continue; }} "
        "out[id.x * AT + k] = x[k]; } }",
        "3u",
        "4u",
    ),
    (
        "a barrier of one workgroup",
        f"{HEAD}{_WORDS}{MAIN} s[l] = x[id.x]; if (AT) {{ workgroupBarrier(); }} "
        "out[id.x] = s[63u - l]; }",
        "w.x == 1u",
        "w.x < 2u",
    ),
    (
        "planes",
        f"{HEAD}{_CUBE} out[(id.z * AT + id.y) * 8u + id.x] = x[id.x]; }}",
        "4u",
        "8u",
    ),
    (
        "steps of a grid",
        f"{HEAD}{MAIN} for (var i = id.x; i < arrayLength(&x); i += AT) {{ out[i] = x[i]; }} }}",
        "64u",
        "128u",
    ),
    (
        "what all share",
        f"{HEAD}{_ARGS}{MAIN} let first = args.y / 3u; let step = AT; "
        "out[id.x * step + first] = x[first]; }",
        "args.z % 2u",
        "args.z % 5u",
    ),
    (
        "one that writes elsewhere",
        f"{HEAD}{MAIN} AT = x[id.x]; }}",
        "out[select(id.x, 0u, l == 5u)]",
        "out[select(id.x, 200u, id.x == 5u)]",
    ),
]


def kinds(text: str, size_words: int, grid: tuple[int, int, int]) -> set[str]:
    values = np.full(size_words, 0, np.uint32)
    values[:4] = (0, 7, 6, 0)
    buffers = [values.copy().view(np.uint8) for _ in range(text.count("@binding"))]
    return {report.kind for report in check_dispatch(text, "main", buffers, grid)}


@pytest.mark.parametrize(("name", "text", "bad", "good"), PAIRS, ids=[each[0] for each in PAIRS])
def test_a_race_is_found_and_its_twin_is_not(name: str, text: str, bad: str, good: str) -> None:
    is_large = name == "many blocks"
    grid = (2000, 1, 1) if is_large else (2, 2, 2) if name == "planes" else (2, 1, 1)
    size_words = 1 << 18 if is_large else 4096
    assert "AT" in text
    assert kinds(text.replace("AT", bad), size_words, grid) == {"race"}
    assert kinds(text.replace("AT", good), size_words, grid) == set()
