"""What WGSL forbids is refused with the place and what was expected."""

import pytest

from gpusim.wgsl import Module, ShaderError, compile_module
from gpusim.wgsl.lanes import StepsExceeded
from tests.wgsl.shaders import WORDS, outcome, shader

pytestmark = pytest.mark.unit
REFUSED = [
    ("fn f() { let x = 1", 1, 19, "expected ';', found the end of the text"),
    ("fn f() { let x = 1u + 1i; }", 1, 21, r"'\+' does not take \(u32, i32\)"),
    ("fn f() { let x: u32 = 1.5; }", 1, 23, "of type abstract-float, expected u32"),
    ("const x: u32 = -1;", 1, 16, "u32 cannot hold -1"),
    ("const x = 1 / 0;", 1, 15, "divided by zero"),
    ("fn f() { y = 1; }", 1, 10, "'y' is not declared"),
    ("fn f() { let x = negate(1); }", 1, 18, "'negate' is not declared"),
    ("fn f() { let x = -true; }", 1, 18, r"'-x' does not take \(bool\)"),
    ("fn f() { let x = -mat2x2f(); }", 1, 18, r"'-x' does not take \(mat2x2<f32>\)"),
    ("fn f() -> u32 { }", 1, 1, "may end without a value"),
    ("fn f() { let x = 1; x = 2; }", 1, 21, "left side of an assignment must be a variable"),
    ("fn f() { loop { } }", 1, 15, "the loop has no end"),
    ("fn f() { break; }", 1, 10, "break stands in no loop"),
    ("fn f() { g(); } fn g() { f(); }", 1, 26, "declared by means of itself"),
    ("struct S { a: u32, a: u32 }", 1, 20, "declared twice"),
    ("fn f() { var v = vec2(1, 2); v.z = 3; }", 1, 31, "no components 'z'"),
    ("fn f() { let v = vec2(1, 2); let x = v[2]; }", 1, 40, "index 2 is not below 2"),
    ("fn f() { let v = vec2(1, 2); let x = v[-1]; }", 1, 40, "index -1 is negative"),
    ("fn f() { switch 1 { case 1 { } } }", 1, 17, "no default"),
    ("fn f() { switch 1 { default { } default { } } }", 1, 33, "the default occurs twice"),
    ("fn f() { let x = a & b == c; }", 1, 24, "expected ';', found '=='"),
    ("@compute fn f() { }", 1, 10, "needs @workgroup_size"),
    ("@group(0) @binding(0) var<storage> x: bool;", 1, 23, "no buffer holds bool"),
    ("fn f() { let x = textureLoad(t, 0, 0); }", 1, 18, "textureLoad is not supported"),
    ("var<private> x: f16;", 1, 17, "f16 needs 'enable f16;'"),
    ("enable subgroups;", 1, 1, "the feature subgroups is not supported"),
    ("fn f() { let x = 08; }", 1, 18, "no number"),
    ("/* no end", 1, 1, "the comment has no end"),
    ("const_assert 1 > 2;", 1, 1, "the const_assert is false"),
    ("@f32 fn f() { }", 1, 2, "no attribute is called 'f32'"),
    ("@group(0) @binding(0) var t: texture_2d<f32>;", 1, 30, "texture_2d is not supported"),
    ("fn f() -> f { } ", 1, 11, "declared by means of itself"),
    ("var<private> private: u32;", 1, 1, "declared by means of itself"),
    ("const storage = 1; fn f(p: ptr<storage, u32>) { }", 1, 28, "no address space any more"),
    ("fn f() { var x = 1; let y = mat2x2(&x); }", 1, 29, "mat2x2 takes no pointers"),
    ("fn f() { var x = 1; let y = array(&x); }", 1, 29, "array takes no pointers"),
    ("fn f() { abs(1); }", 1, 10, "the value of abs must be used"),
    ("fn f() { let x = vec4(mat2x2f()); }", 1, 18, "takes numbers and vectors"),
    ("fn f() { let x = true + true; }", 1, 23, "operands of i32, u32, f32, f16"),
    ("fn f() { let x = 1; let y = x<u32>; }", 1, 29, "the let 'x' takes no template list"),
    ("var<storage, read, read> x: u32;", 1, 1, "var takes an address space and perhaps"),
    ("struct S { @size(1.5) a: u32 }", 1, 23, "@size takes an integer above zero, not 1.5"),
]


@pytest.mark.parametrize(("text", "line", "column", "because"), REFUSED)
def test_a_text_is_refused_where_it_is_wrong(
    text: str, line: int, column: int, because: str
) -> None:
    with pytest.raises(ShaderError, match=because) as refused:
        compile_module(text)
    assert refused.value.place == (line, column)


def test_a_loop_without_an_end_stops() -> None:
    text = shader("var x = 0u; while (x < 2u) { x = x & 1u; } o[i] = x;")
    with pytest.raises(StepsExceeded, match="more than"):
        outcome(text)


def test_what_lies_past_the_end_changes_nothing_else() -> None:
    text = shader("o[i + 32u] = a[i + 1000u] & 1u; o[i] = 7u;")
    assert outcome(text)[:32] == [7] * 32


DEEP = [
    ("o[i] = " + "+".join(["a[i]"] * 1000) + ";", 8),
    ("o[i] = " + "(" * 150 + "1u" + ")" * 150 + ";", 8),
    ("if (l < 9u) {" * 120 + "}" * 120, None),
    ("".join(f"if (a[i] == {n}u) {{ return; }}\n" for n in range(200)), None),
    ("switch a[i] {" + "".join(f"case {n}: {{ }}" for n in range(600)) + "default: { } }", None),
    ("for (var j = 0u; j < 1u; j++) {" * 30 + "o[i] = 1u;" + "}" * 30, None),
]
MANY = "fn g0(x: u32) -> u32 { return x + 1u; }\n" + "".join(
    f"fn g{n + 1}(x: u32) -> u32 {{ return g{n}(x) + g{n}(x); }}\n" for n in range(19)
)


@pytest.mark.parametrize(("body", "line"), DEEP)
def test_what_is_nested_too_deep_is_refused_with_its_line(body: str, line: int | None) -> None:
    doubling = "fn f(x: u32) -> u32 { if (x > 3u) { return x; } return x + 1u; }"
    with pytest.raises(ShaderError, match=r"line .*nest") as refused:
        Module(shader(body, doubling)).entry("main").compile()
    assert line in (None, refused.value.place.line)


def test_a_long_sum_is_taken() -> None:
    text = shader("o[i] = " + "+".join(["a[i]"] * 150) + ";")
    assert outcome(text) == [150 * word % 2**32 for word in WORDS]


def test_calls_that_double_are_refused_where_there_are_too_many() -> None:
    with pytest.raises(ShaderError, match=r"line .* more than 500000 expressions"):
        Module(shader("o[i] = g19(a[i]);", MANY)).entry("main").compile()


POINTERS = """var<private> p: u32;
fn writes(x: ptr<function, u32>, y: ptr<function, u32>) { *x = *y; }
fn reads(x: ptr<function, u32>, y: ptr<function, u32>) -> u32 { return *x + *y; }
fn inner(x: ptr<function, u32>) { let z = x; writes(x, z); }
fn outer(x: ptr<private, u32>) -> u32 { p = 2u; return *x; }
fn sums(x: ptr<private, u32>) -> u32 { return p + *x; }
fn adds(x: ptr<private, u32>) { *x += 1u; }
fn nests(x: ptr<private, u32>) -> u32 { if (*x > 1u) { adds(x); } return p; }
"""


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("var x = 1u; writes(&x, &x);", [4, 6]),
        ("var x: array<u32, 2>; writes(&x[0], &x[1]);", [4, 6]),
        ("var x = 1u; var y = 2u; writes(&x, &y); inner(&x);", [4]),
        ("var x = 1u; let y = &x; _ = reads(&x, y);", [4]),
        ("_ = outer(&p);", [4, 6]),
        ("_ = sums(&p); adds(&p);", [4]),
        ("_ = nests(&p);", [4, 6]),
    ],
)
def test_pointers_of_a_call_that_reach_one_variable_are_found(body: str, lines: list[int]) -> None:
    found = compile_module(shader(body, POINTERS)).aliased_calls
    assert [place.line for place in found] == [3 + lines[0], *[16 for _ in lines[1:]]]


UNIFORMS = [
    ("array<f32, 4>", False),
    ("array<vec3f, 4>", True),
    ("array<array<f32, 4>, 2>", False),
    ("mat2x2<f32>", True),
    ("A", True),
    ("array<A, 2>", False),
    ("B", False),
    ("C", True),
    ("D", False),
    ("E", True),
]
STRUCTS = """struct A { x: f32 } struct B { a: A, y: f32 } struct C { a: A, @align(16) y: f32 }
struct D { y: f32, a: A } struct E { y: f32, @align(16) a: array<vec4f, 2>, z: f32 }
"""


@pytest.mark.parametrize(("kind", "fits"), UNIFORMS)
def test_a_uniform_buffer_that_is_packed_needs_an_extension(kind: str, fits: bool) -> None:
    module = compile_module(f"{STRUCTS}@group(0) @binding(0) var<uniform> u: {kind};")
    assert bool(module.checked.extensions) != fits
