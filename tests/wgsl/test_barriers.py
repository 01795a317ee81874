"""A barrier that some invocations of a workgroup may miss is found, and one that all meet is not.

Pairs of texts differ in what the rule of their name is about.  The examples of the WGSL
specification, 15.2.9 "Examples", stand among them, with barriers for textures.
"""

import pytest

from gpusim.wgsl import Module, compile_module
from gpusim.wgsl.checks import check_dispatch
from tests.wgsl.shaders import shader

pytestmark = pytest.mark.unit
SHARED = """var<workgroup> s: u32; var<workgroup> t: atomic<u32>; var<workgroup> z: array<u32, 4>;
var<private> p: u32; var<private> q: array<u32, 2>; struct Pair { one: u32, two: vec2u }
fn scale(x: u32, y: u32) -> u32 { let v = x / y; return v; }
fn first(x: u32, y: u32) -> u32 { if (y > 2u) { o[0] = y; } return x; }
fn waits() { workgroupBarrier(); }
fn waits_if(x: u32) { if (x > 1u) { waits(); } }
fn waits_at(x: ptr<function, u32>) { if (*x > 1u) { workgroupBarrier(); } }
fn reads(x: ptr<function, u32>) -> u32 { return *x; }
fn sets(x: ptr<function, u32>, y: u32) { *x = y; }
fn copies(x: ptr<function, u32>, y: ptr<function, u32>) { *x = *y; }
fn keeps(x: ptr<function, u32>, y: ptr<function, u32>) { *y = 1u; }
fn spoils(x: ptr<function, u32>) { *x = o[1]; }
fn part(x: ptr<function, array<u32, 2>>) { (*x)[0] = 1u; }
fn whole(x: ptr<function, array<u32, 2>>) { *x = array(1u, 2u); }
fn leaves(x: ptr<function, u32>, y: u32) { if (y > 1u) { return; } *x = 1u; }
fn loads(x: ptr<workgroup, array<u32, 4>>, y: u32) -> u32 { return workgroupUniformLoad(&x[y]); }
fn at(x: ptr<workgroup, u32>) -> u32 { return workgroupUniformLoad(x); }
fn kept(x: ptr<storage, u32, read>) -> u32 { return *x; }
"""
WAIT = "workgroupBarrier();"
MISSED_AND_MET = [
    # values
    (f"if (l < 3u) {{ {WAIT} }}", f"if (w.x < 3u) {{ {WAIT} }}"),
    (f"if (o[0] == 1u) {{ {WAIT} }}", f"if (a[0] == 1u) {{ {WAIT} }}"),
    (f"if (a[l] == 1u) {{ {WAIT} }}", f"if (a[w.y] == 1u) {{ {WAIT} }}"),
    ("if (o[0] == 1u) { storageBarrier(); }", "if (a[0] == 1u) { storageBarrier(); }"),
    (f"p = w.x; if (p == 0u) {{ {WAIT} }}", f"let n = w.x; if (n == 0u) {{ {WAIT} }}"),
    (f"if (q[0] == 0u) {{ {WAIT} }}", f"var n = array(w.x, 1u); if (n[0] == 0u) {{ {WAIT} }}"),
    (f"if (s == 1u) {{ {WAIT} }}", f"if (workgroupUniformLoad(&s) == 1u) {{ {WAIT} }}"),
    ("_ = workgroupUniformLoad(&z[l]);", "_ = workgroupUniformLoad(&z[w.x]);"),
    (f"if (atomicLoad(&t) == 1u) {{ {WAIT} }}", f"if (arrayLength(&o) == 1u) {{ {WAIT} }}"),
    (f"if (l < 3u && a[0] > 1u) {{ {WAIT} }}", f"if (l < 3u) {{ o[i] = 1u; }} {WAIT}"),
    (
        "_ = l < 3u && workgroupUniformLoad(&s) > 1u;",
        "_ = workgroupUniformLoad(&s) > 1u && l < 3u;",
    ),
    (f"if (false && l > 1u) {{ {WAIT} }}", f"if (false && w.x > 1u) {{ {WAIT} }}"),
    # variables: the example "Function-scope Variable Uniformity", and "Composite Value Analysis"
    (f"var x = o[0]; if (x > 0) {{ {WAIT} }}", f"var x = o[0]; x = a[0]; if (x > 0) {{ {WAIT} }}"),
    (
        f"var n = w.x; if (l == 0u) {{ n = 1u; }} if (n == 1u) {{ {WAIT} }}",
        f"var n = l; if (w.x == 0u) {{ n = 1u; }} else {{ n = 2u; }} if (n == 1u) {{ {WAIT} }}",
    ),
    (
        f"var v = vec2u(l, w.x); if (v.y == 0u) {{ {WAIT} }}",
        f"let k = w.x; var v = vec2u(k); if (v.y == 0u) {{ {WAIT} }}",
    ),
    (
        f"var v: array<u32, 2>; v[0] = l; if (v[1] == 1u) {{ {WAIT} }}",
        f"var v: array<u32, 2>; v[0] = w.x; if (v[1] == 1u) {{ {WAIT} }}",
    ),
    (
        f"var v: array<u32, 2>; v[l] = 1u; if (v[1] == 1u) {{ {WAIT} }}",
        f"var v: array<u32, 2>; v[w.x] = 1u; if (v[1] == 1u) {{ {WAIT} }}",
    ),
    (
        f"var v: Pair; v.two.x = l; v.two = vec2u(1u); if (v.one > 1u) {{ {WAIT} }}",
        f"var v: Pair; v.two.x = l; v = Pair(); if (v.one > 1u) {{ {WAIT} }}",
    ),
    (
        f"var x = l; let y = &x; *y += 1u; if (x > 1u) {{ {WAIT} }}",
        f"var x = l; let y = &x; *y = 1u; if (x > 1u) {{ {WAIT} }}",
    ),
    (
        f"var v: array<u32, 2>; var n = l; let y = &v[n]; n = 0u; *y = 1; if v[0] > 1 {{ {WAIT} }}",
        f"var v: array<u32, 2>; var n = 1u; let y = &v[n]; n = l; *y = 1; if v[0] > 1 {{ {WAIT} }}",
    ),
    # statements
    (f"if (l > 3u) {{ return; }} {WAIT}", f"if (w.x > 3u) {{ return; }} {WAIT}"),
    (
        f"switch l {{ case 1 {{ return; }} default {{ }} }} {WAIT}",
        f"switch l {{ case 1 {{ break; }} default {{ }} }} {WAIT}",
    ),
    (
        f"var n = 0u; switch l {{ case 1 {{ n = 1u; }} default {{ }} }} if n > 0u {{ {WAIT} }}",
        f"var n = 0u; switch w.x {{ case 1 {{ n = 1u; }} default {{ }} }} if n > 0u {{ {WAIT} }}",
    ),
    (f"for (var j = 0u; j < l; j++) {{ {WAIT} }}", f"for (var j = 0u; j < w.x; j++) {{ {WAIT} }}"),
    (
        # The example "Uniformity in a Loop".
        f"for (var j = 0u; j < 9; j++) {{ {WAIT} if (l + j) > 7 {{ break; }} }}",
        f"for (var j = 0u; j < 9; j++) {{ {WAIT} if (l + j) > 7 {{ o[i] = j; }} }}",
    ),
    (
        f"for (var j = 0u; j < 9; j++) {{ if (l > j) {{ continue; }} {WAIT} }}",
        f"for (var j = 0u; j < 9; j++) {{ if (w.x > j) {{ continue; }} {WAIT} }}",
    ),
    (
        f"loop {{ {WAIT} if (l > 1u) {{ return; }} continuing {{ break if w.x > 1u; }} }}",
        f"loop {{ {WAIT} if (l > 1u) {{ o[i] = 1u; }} continuing {{ break if w.x > 1u; }} }}",
    ),
    (
        f"loop {{ if (l > 1u) {{ return; }} break; }} {WAIT}",
        f"loop {{ if (l > 1u) {{ break; }} break; }} {WAIT}",
    ),
    (
        f"var j = 0u; loop {{ {WAIT} continuing {{ j++; break if j > l; }} }}",
        f"var j = 0u; loop {{ {WAIT} continuing {{ j++; break if j > w.x; }} }}",
    ),
    (
        f"var n = 0u; loop {{ if n > 1u {{ {WAIT} }} n = l; if a[0] > 1u {{ break; }} }}",
        f"var n = 0u; loop {{ n = w.x; if n > 1u {{ {WAIT} }} n = l; if a[0] > 1u {{ break; }} }}",
    ),
    (f"{WAIT} if (l > 1u) {{ {WAIT} }} return;", f"{WAIT} return; if (l > 1u) {{ {WAIT} }}"),
    # calls: the example "User-defined Function Calls"
    (f"if scale(l, 2u) > 1u {{ {WAIT} }}", f"if scale(w.x, 2u) > 1u {{ {WAIT} }}"),
    (f"if first(l, w.x) > 1u {{ {WAIT} }}", f"if first(w.x, l) > 1u {{ {WAIT} }}"),
    ("if (l < 3u) { waits(); }", "if (w.x < 3u) { waits(); }"),
    ("waits_if(l);", "waits_if(w.x);"),
    ("var n = l; waits_at(&n);", "var n = w.x; waits_at(&n);"),
    (f"var n = l; if reads(&n) > 1u {{ {WAIT} }}", f"var n = 1u; if reads(&n) > 1u {{ {WAIT} }}"),
    (
        f"var n = 1u; sets(&n, l); if n > 1u {{ {WAIT} }}",
        f"var n = l; sets(&n, 1u); if n > 1u {{ {WAIT} }}",
    ),
    (
        f"var n = 1u; if l > 1u {{ sets(&n, 2u); }} if n > 1u {{ {WAIT} }}",
        f"var n = l; if w.x > 1u {{ sets(&n, 2u); }} else {{ n = 1u; }} if n > 1u {{ {WAIT} }}",
    ),
    (
        f"var n = 1u; var m = l; copies(&n, &m); if n > 1u {{ {WAIT} }}",
        f"var n = 1u; var m = l; keeps(&n, &m); if n + m > 1u {{ {WAIT} }}",
    ),
    (f"var n = 1u; spoils(&n); if n > 1u {{ {WAIT} }}", f"var n = o[0]; spoils(&n); {WAIT}"),
    (
        f"var v = array(l, l); part(&v); if v[0] > 1u {{ {WAIT} }}",
        f"var v = array(l, l); whole(&v); if v[0] > 1u {{ {WAIT} }}",
    ),
    (
        f"var v = array(l, l); sets(&v[0], 1u); if v[0] > 1u {{ {WAIT} }}",
        f"var v = array(1u, 1u); sets(&v[0], 1u); if v[0] > 1u {{ {WAIT} }}",
    ),
    (
        f"var n = 1u; leaves(&n, l); if n > 1u {{ {WAIT} }}",
        f"var n = 1u; leaves(&n, w.x); if n > 1u {{ {WAIT} }}",
    ),
    ("_ = loads(&z, l);", "_ = loads(&z, w.x);"),
    ("_ = at(&z[l]);", "_ = at(&z[w.x]);"),
    (f"if kept(&a[l]) > 1u {{ {WAIT} }}", f"if kept(&a[w.x]) > 1u {{ {WAIT} }}"),
]


@pytest.mark.parametrize(("missed", "met"), MISSED_AND_MET)
def test_only_a_barrier_that_some_may_miss_is_found(missed: str, met: str) -> None:
    assert len(Module(shader(missed, SHARED)).missed_barriers) == 1
    assert Module(shader(met, SHARED)).missed_barriers == ()


HEAD = """@group(0) @binding(0) var<storage, read_write> o: array<u32>;
struct Mixed { @builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) l: u32 }
struct Alone { @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) n: vec3u }
"""


def _main(parameters: str, body: str) -> str:
    return f"{HEAD}@compute @workgroup_size(16) fn main({parameters}) {{ {body} }}"


def test_a_struct_of_built_in_values_varies_as_a_whole() -> None:
    body = f"if i.w.x == 1 {{ {WAIT} }}"
    assert Module(_main("i: Mixed", body)).missed_barriers
    assert not Module(_main("i: Alone", body)).missed_barriers


def test_a_function_that_nobody_calls_is_read_too() -> None:
    rest = _main("i: Alone", "")
    assert Module(f"{rest} fn f() {{ if o[0] > 1u {{ {WAIT} }} }}").missed_barriers
    assert not Module(f"{rest} fn f(x: u32) {{ if x > 1u {{ {WAIT} }} }}").missed_barriers


def test_the_barrier_itself_is_named_and_not_the_call() -> None:
    module = Module(shader("\nwaits_if(l);", SHARED))
    assert [place.line for place in module.missed_barriers] == [8]
    assert module.entry("main").missed_barriers == module.missed_barriers


def test_a_missed_barrier_is_told_of_the_entry_point_that_comes_to_it() -> None:
    text = f"{_main('i: Alone', '')} fn f() {{ if o[0] > 1u {{ {WAIT} }} }}"
    assert compile_module(text).entry("main").missed_barriers == ()
    assert check_dispatch(text, "main", [], (1, 1, 1)) == ()
