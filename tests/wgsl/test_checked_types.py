"""Words, components, structs, halves, functions and pointers: what counts as one access."""

from typing import Any

import numpy as np
import pytest

from gpusim.wgsl import compile_module
from gpusim.wgsl.checks import ShaderReport, check_dispatch

pytestmark = pytest.mark.unit
SIGNATURE = "(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32)"


def reports(head: str, body: str, size_bytes: int = 1024, **more: Any) -> tuple[ShaderReport, ...]:
    text = f"{head}\n@compute @workgroup_size(8)\nfn main{SIGNATURE} {{\n{body}\n}}"
    count = len(compile_module(text).entry("main").point.bindings)
    buffers = [np.zeros(size_bytes, np.uint8) for _ in range(count)]
    return check_dispatch(text, "main", buffers, (1, 1, 1), **more)


def storage(kind: str) -> str:
    return f"@group(0) @binding(0) var<storage, read_write> x: {kind};"


APART = [
    ("enable f16;\n" + storage("array<f16>"), "x[id.x] = 1h;"),
    (storage("array<vec4f>"), "x[id.x] = vec4f(); x[id.x].y = 2.0;"),
    (storage("array<mat2x2f>"), "x[id.x][0].x = 1.0; x[id.x][1].y = 2.0;"),
    (
        "struct S { a: u32, b: vec3f }\n" + storage("array<S>"),
        "x[id.x].a = 3u; let s = x[id.x]; x[id.x].b = s.b;",
    ),
    (
        storage("array<u32>") + "fn put(p: ptr<storage, u32, read_write>, v: u32) { *p += v; }",
        "put(&x[id.x], 3u);",
    ),
    (storage("array<atomic<u32>>"), "atomicAdd(&x[0], atomicLoad(&x[1])); atomicStore(&x[2], 1u);"),
    (storage("array<u32>"), "if (id.x == 3u || x[3] == 7u) { if (id.x == 3u) { return; } }"),
]
MET = [
    (storage("array<vec2u>"), "if (l < 2u) {\n x[0][l] = 1u;\n}", 5),
    ("enable f16;\n" + storage("array<f16>"), "x[id.x / 2u] = 1h;", 5),
    ("enable f16;\n" + storage("array<vec2<f16>>"), "x[id.x / 2u].x = 1h;", 5),
    (
        "struct S { a: u32, b: u32 }\n" + storage("array<S>"),
        "let s = x[0];\n if (l == 1u) { x[0].b = s.a; }",
        6,
    ),
    (
        storage("array<u32>") + "fn put(p: ptr<storage, u32, read_write>, v: u32) { *p += v; }",
        "put(&x[id.x / 2u], 3u);",
        1,
    ),
]


@pytest.mark.parametrize(("head", "body"), APART, ids=range(len(APART)))
def test_invocations_with_words_of_their_own_do_not_race(head: str, body: str) -> None:
    assert [*map(str, reports(head, body))] == []


@pytest.mark.parametrize(("head", "body", "line"), MET, ids=range(len(MET)))
def test_invocations_that_share_words_race(head: str, body: str, line: int) -> None:
    found = reports(head, body)
    assert {report.kind for report in found} == {"race"}
    assert line in {place.line for report in found for place in report.places}


def test_values_are_told_in_their_types() -> None:
    (report,) = reports(storage("array<f32>"), "x[0] = f32(id.x) * 0.5;")
    assert {act.did for act in report.acts} == {"wrote 0.0", "wrote 3.5"}


def test_a_barrier_that_a_branch_may_part_is_reported_unexecuted() -> None:
    head = storage("array<u32>") + "var<workgroup> s: u32;"
    (report,) = reports(head, "if (x[0] == 1u) {\n workgroupBarrier();\n}")
    assert (report.kind, report.acts) == ("barrier", ())
    assert report.places[0].line == 5


def test_arithmetic_is_told_on_demand_alone() -> None:
    body = "x[id.x] = 7u / x[id.x];"
    assert reports(storage("array<u32>"), body) == ()
    (report,) = reports(storage("array<u32>"), body, arithmetic=True)
    assert (report.kind, report.severity) == ("arithmetic", "warning")


def test_a_sum_that_wraps_is_told_where_an_index_is_made_of_it() -> None:
    head = storage("array<u32>")
    assert reports(head, "x[id.x] = id.x - 1u;", arithmetic=True) == ()
    found = reports(head, "x[min(id.x - 1u, 7u)] = 2u;", arithmetic=True)
    assert "arithmetic" in {report.kind for report in found}


def test_the_checks_leave_the_python_of_an_unchecked_shader_alone() -> None:
    head = storage("array<u32>")
    text = f"{head}\n@compute @workgroup_size(8)\nfn main{SIGNATURE} {{ x[id.x] = l; }}"
    entry = compile_module(text).entry("main")
    before = entry.flat.text
    check_dispatch(text, "main", [np.zeros(64, np.uint8)], (1, 1, 1))
    assert entry.flat.text == before
    assert "bound(" not in before
