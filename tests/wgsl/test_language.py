"""Statements and expressions: each shader does what plain Python does, lane after lane."""

from collections.abc import Callable

import pytest

from tests.wgsl.shaders import LANES, WORDS, outcome, shader

pytestmark = pytest.mark.unit
M = 2**32


def collatz(i: int, a: int) -> int:
    n = 0
    while a > 1 and n <= 50:
        a = a // 2 + 7 if a & 1 else a >> 1
        n += 1
    return (n * 1000 + a) % M


def skipping(i: int, a: int) -> int:
    total = 0
    for j in range(a & 15):
        if j % 3 == i % 3:
            continue
        if total > 50:
            break
        total += j * 2
        if j == 9:
            total += 100
            if i % 2 == 0:
                continue
            total += 5
        total += 1
    return total


def found(n: int, limit: int) -> int:
    for j in range(20):
        if j * n > limit:
            return j
        if j * 7 == n:
            return 77
    return 99


def nested(i: int, a: int) -> int:
    total, j = 0, 0
    while j < i % 7:
        k = 0
        while True:
            if k > j:
                break
            total = (total + k * j + WORDS[k]) % M
            k += 1
            if total % 5 == 1:
                break
        j += 1
    return total


def continuing(i: int, a: int) -> int:
    j, total = 0, 0
    while True:
        total += j
        if total % 4 != 2:
            total += 2
        j += 1
        if j > i % 9:
            return total


def switched(i: int, a: int) -> int:
    case = a & 7
    if case in (0, 1):
        return 1
    if case == 2:
        return 0 if i > 10 else 2
    return 55 if case == 5 else 9


def pointed(i: int, a: int) -> int:
    table = [1, 2, 3, 4]
    x = (a + 1) % M
    table[i % 4] = (table[i % 4] + x) % M
    table[2] = table[2] * 3 % M
    return (x + table[0] * 2 + table[1] * 3 + table[2] * 5 + table[3] * 7) % M


def placed(i: int, a: int) -> int:
    columns = [[0, 0, 0], [0, 0, 0]]
    columns[i % 2][a % 3] = 7
    columns[(i + 1) % 2][1] += 3
    cells = columns[0] + columns[1]
    digits = "".join(map(str, reversed(cells)))
    return int(digits) + cells[a % 2 * 3 + i % 3]


def short(i: int, a: int) -> int:
    calls = 0
    one = i > 5
    if one:
        calls += 1
        one = a % 5 > 2
    other = i < 20
    if not other:
        calls += 1
        other = a % 7 > 2
    return calls + one * 10 + other * 100


CASES: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "a product with a constant matrix": (
        shader("let v = vec2f(f32(i), 1.0) * mat2x2f(1.0, 2.0, 3.0, 4.0); o[i] = u32(v.x + v.y);"),
        lambda i, a: 4 * i + 6,
    ),
    "elements of a matrix by two indices": (
        shader(
            "var m = mat2x3f(); m[i % 2u][a[i] % 3u] = 7.0; m[(i + 1u) % 2u][1] += 3.0;\n"
            "let low = u32(m[0].x + m[0].y * 10.0 + m[0].z * 100.0);\n"
            "let high = u32(m[1].x + m[1].y * 10.0 + m[1].z * 100.0);\n"
            "o[i] = low + high * 1000u + u32(m[a[i] % 2u][i % 3u]);"
        ),
        placed,
    ),
    "a guard that returns": (
        shader("if (i >= 30u) { return; } o[i] = a[i] * 2u + i;"),
        lambda i, a: (a * 2 + i) % M if i < 30 else 0,
    ),
    "a loop that lanes leave one by one": (
        shader(
            "var x = a[i]; var n = 0u;\n"
            "loop { if (x <= 1u || n > 50u) { break; }\n"
            "if ((x & 1u) == 1u) { x = x / 2u + 7u; } else { x = x >> 1u; } n++; }\n"
            "o[i] = n * 1000u + x;"
        ),
        collatz,
    ),
    "continue and break at several depths": (
        shader(
            "var s = 0u; for (var j = 0u; j < (a[i] & 15u); j++) {\n"
            "if (j % 3u == i % 3u) { continue; } if (s > 50u) { break; } s += j * 2u;\n"
            "if (j == 9u) { s += 100u; if (i % 2u == 0u) { continue; } s += 5u; } s += 1u; }\n"
            "o[i] = s;"
        ),
        skipping,
    ),
    "a return inside a loop": (
        shader(
            "o[i] = f(i & 15u, a[i] % 100u) + f(3u, i);",
            "fn f(n: u32, most: u32) -> u32 { for (var j = 0u; j < 20u; j++) {\n"
            "if (j * n > most) { return j; } if (j * 7u == n) { return 77u; } } return 99u; }",
        ),
        lambda i, a: found(i & 15, a % 100) + found(3, i),
    ),
    "loops in loops": (
        shader(
            "var j = 0u; var s = 0u; while (j < (i % 7u)) { var k = 0u; while (true) {\n"
            "if (k > j) { break; } s += k * j + a[k]; k++; if (s % 5u == 1u) { break; } } j++; }\n"
            "o[i] = s;"
        ),
        nested,
    ),
    "continuing with break if": (
        shader(
            "var j = 0u; var s = 0u; loop { s += j; if (s % 4u == 2u) { continue; } s += 2u;\n"
            "continuing { j++; break if j > i % 9u; } } o[i] = s;"
        ),
        continuing,
    ),
    "break if with a constant": (
        shader(
            "var s = 0u; loop { if s > i { break; } continuing { s += 3u; break if false; } }\n"
            "if false { } if s > 999u { if true { } } o[i] = s;"
        ),
        lambda i, a: (i // 3 + 1) * 3,
    ),
    "a switch": (
        shader(
            "var s = 0u; switch (a[i] & 7u) { case 0u, 1u: { s = 1u; }\n"
            "case 2u: { if (i > 10u) { break; } s = 2u; } case 3u, default { s = 9u; }\n"
            "case 5u { s = 55u; } } o[i] = s;"
        ),
        switched,
    ),
    "pointers": (
        shader(
            "var x = a[i]; var t = array<u32, 4>(1u, 2u, 3u, 4u); inc(&x, &t, i);\n"
            "let p = &t[2]; *p = *p * 3u;\n"
            "o[i] = x + t[0] * 2u + t[1] * 3u + t[2] * 5u + t[3] * 7u;",
            "fn inc(p: ptr<function, u32>, q: ptr<function, array<u32, 4>>, k: u32)\n"
            "{ *p += 1u; q[k % 4u] += *p; }",
        ),
        pointed,
    ),
    "short circuit": (
        shader(
            "let p = (i > 5u) && t(a[i] % 5u); let q = (i < 20u) || t(a[i] % 7u);\n"
            "o[i] = z + u32(p) * 10u + u32(q) * 100u;",
            "var<private> z: u32; fn t(v: u32) -> bool { z += 1u; return v > 2u; }",
        ),
        short,
    ),
    "vectors, swizzles and comparisons": (
        shader(
            "let v = vec3u(a[i], i, 3u); let b = v > vec3u(5u, 7u, a[i] & 3u);\n"
            "let s = select(v, v.zxy, b);\n"
            "o[i] = s.x + s.y * 3u + u32(any(b)) * 100u + u32(all(!b));"
        ),
        lambda i, a: (
            (
                (3 if a > 5 else a)
                + (a if i > 7 else i) * 3
                + (a > 5 or i > 7 or a & 3 < 3) * 100
                + (not (a > 5 or i > 7 or a & 3 < 3))
            )
            % M
        ),
    ),
    "a constant table, and private memory": (
        shader(
            "bump(); if (i % 2u == 0u) { bump(); }\n"
            "o[i] = z + m[0] * 10u + m[1] * 100u + m[2] + t[a[i] % 8u] * 100000u;",
            "var<private> z: u32 = 5u; var<private> m: array<u32, 3>;\n"
            "const t = array(3u, 1u, 4u, 1u, 5u, 9u, 2u, 6u);\n"
            "fn bump() { z += 3u; m[z % 3u] += z; }",
        ),
        lambda i, a: (
            (11 if i % 2 == 0 else 8)
            + (8 + (11 if i % 2 == 0 else 0))
            + [3, 1, 4, 1, 5, 9, 2, 6][a % 8] * 100000
        ),
    ),
    "a let keeps its value": (
        shader("var x = a[i]; let y = x; x += 1u; let z = x; x *= 3u; o[i] = y ^ (z * x);"),
        lambda i, a: a ^ ((a + 1) * ((a + 1) * 3 % M) % M),
    ),
    "a component by an index": (
        shader(
            "var v = vec4u(1u, 2u, 3u, 4u); v[i % 4u] = a[i]; v.y += 5u;\n"
            "o[i] = v[(i + 1u) % 4u] * 2u + v[i % 4u];"
        ),
        lambda i, a: _components(i, a),
    ),
}


def _components(i: int, a: int) -> int:
    v = [1, 2, 3, 4]
    v[i % 4] = a
    v[1] = (v[1] + 5) % M
    return (v[(i + 1) % 4] * 2 + v[i % 4]) % M


@pytest.mark.parametrize("name", CASES)
def test_a_shader_does_what_python_does(name: str) -> None:
    text, expected = CASES[name]
    assert outcome(text) == [expected(i, WORDS[i]) for i in range(LANES)]


@pytest.mark.parametrize("size", [1, 2, 16, 64])
def test_workgroups_share_memory_and_wait(size: int) -> None:
    text = shader(
        "s[l] = a[i]; workgroupBarrier();\n"
        f"for (var step = {size}u / 2u; step > 0u; step >>= 1u) {{\n"
        "if (l < step) { s[l] += s[l + step]; } workgroupBarrier(); }\n"
        "if (l == 0u) { o[w.x] = s[0]; }",
        f"var<workgroup> s: array<u32, {size}>;",
        size,
    )
    groups = LANES // size
    sums = [sum(WORDS[g * size : (g + 1) * size]) % M for g in range(groups)]
    assert outcome(text, grid=(groups, 1, 1)) == sums + [0] * (LANES - groups)


SHARED: dict[str, Callable[[int, int, int, int], int]] = {
    "l": lambda x, y, z, k: x + 4 * y + 8 * z,
    "p.y": lambda x, y, z, k: y,
    "p.x + k": lambda x, y, z, k: x + k,
    "k": lambda x, y, z, k: k,
    "8u * p.z + 2u * p.x + 1u": lambda x, y, z, k: 8 * z + 2 * x + 1,
    "p.x * 4u + 2u * p.y + p.z": lambda x, y, z, k: 4 * x + 2 * y + z,
    "p.x * 4u + p.y + k": lambda x, y, z, k: 4 * x + y + k,
    "l + k - 2u": lambda x, y, z, k: x + 4 * y + 8 * z + k - 2,
    "k - p.x": lambda x, y, z, k: k - x,
}
"""Indices into the memory of a workgroup of 4 x 2 x 2, where k is 0 to 3; some are outside."""


BOXES: dict[str, Callable[[int, int, int, int], bool]] = {
    "true": lambda x, y, z, k: True,
    "p.x < k": lambda x, y, z, k: x < k,
    "k >= p.z": lambda x, y, z, k: z <= k,
    "i32(p.x) <= i32(k) - 2i": lambda x, y, z, k: x <= k - 2,
    "p.y == k": lambda x, y, z, k: y == k,
    "p.x == 3u": lambda x, y, z, k: x == 3,
    "l < 5u": lambda x, y, z, k: x + 4 * y + 8 * z < 5,
}


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("index", SHARED)
def test_lanes_reach_shared_memory_along_the_axes_of_a_workgroup(index: str, box: str) -> None:
    of, is_in = SHARED[index], BOXES[box]
    places = [(at % 4, at // 4 % 2, at // 8) for at in range(16)]
    is_inside = all(0 <= of(*place, 1) < 16 for place in places if is_in(*place, 1))
    guard = "true" if is_inside else f"{index} < 16u"
    text = f"""
    @group(0) @binding(0) var<storage, read> a: array<u32>;
    @group(0) @binding(1) var<storage, read_write> o: array<u32>;
    var<workgroup> s: array<u32, 16>;
    @compute @workgroup_size(4, 2, 2)
    fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_id) p: vec3u,
            @builtin(local_invocation_index) l: u32) {{
        let i = w.x * 16u + l;
        s[l] = a[i];
        workgroupBarrier();
        var sum = 0u;
        for (var k = 0u; k < 4u; k++) {{
            if ({box}) {{ if ({index} < 16u) {{ sum += s[{index}]; }} }}
        }}
        let k = 1u;
        workgroupBarrier();
        if ({box}) {{ if ({guard}) {{ s[{index}] = l; }} }}
        workgroupBarrier();
        o[i] = sum + s[l];
    }}
    """
    expected = []
    for group in range(4):
        words = WORDS[16 * group : 16 * group + 16]
        left = [*words]
        for lane, place in enumerate(places):
            if is_in(*place, 1) and 0 <= of(*place, 1) < 16:
                left[of(*place, 1)] = lane
        for place, last in zip(places, left, strict=True):
            found = [of(*place, k) for k in range(4) if is_in(*place, k)]
            expected.append((sum(words[at] for at in found if 0 <= at < 16) + last) % M)
    assert outcome(text) == expected


CLAMPED: dict[str, Callable[[int], int]] = {
    "min(i + 3u, 63u)": lambda i: min(i + 3, 63),
    "min(63u, i * 2u + 1u)": lambda i: min(63, i * 2 + 1),
    "min(i + 3u, 70u)": lambda i: min(i + 3, 70),
    "max(i, 2u)": lambda i: max(i, 2),
    "max(i, 2u) - 2u": lambda i: max(i, 2) - 2,
    "min(max(i + 4u, 1u) - 1u, 50u)": lambda i: min(i + 3, 50),
    "min(max(i - 3u, 1u), 63u)": lambda i: min(max((i - 3) % M, 1), 63),
    "min(63u - i, 40u)": lambda i: min(63 - i, 40),
}


@pytest.mark.parametrize("lanes", [64, 60, 30, 4])
@pytest.mark.parametrize("index", CLAMPED)
def test_an_index_may_be_clamped(index: str, lanes: int) -> None:
    text = shader(f"if (i < {lanes}u) {{ let at = {index}; o[i] = a[at] + at; }}")
    places = [CLAMPED[index](i) for i in range(lanes)]
    words = [WORDS[min(place, LANES - 1)] for place in places]
    sums = [(word + place) % M for word, place in zip(words, places, strict=True)]
    assert outcome(text) == sums + [0] * (LANES - lanes)
    assert outcome(text.replace(" + at;", ";"))[:lanes] == words


def test_atomics_act_one_after_the_other() -> None:
    text = shader(
        "let before = atomicAdd(&c, 1u); o[before] += 1u;",
        "var<workgroup> c: atomic<u32>;",
        LANES,
    )
    assert outcome(text, grid=(1, 1, 1)) == [1] * LANES


def test_invocations_have_their_places_in_three_dimensions() -> None:
    text = """
    @group(0) @binding(1) var<storage, read_write> o: array<u32>;
    @compute @workgroup_size(2, 2, 2)
    fn main(@builtin(global_invocation_id) g: vec3u, @builtin(num_workgroups) n: vec3u,
            @builtin(local_invocation_id) l: vec3u, @builtin(workgroup_id) w: vec3u) {
        let i = (g.z * n.y * 2u + g.y) * n.x * 2u + g.x;
        o[i] = l.x + 10u * l.y + 100u * l.z + 1000u * w.x + 10000u * w.y + 100000u * w.z;
    }
    """
    places = [(x, y, z) for z in range(4) for y in range(4) for x in range(4)]
    assert outcome(text, grid=(2, 2, 2)) == [
        x % 2
        + 10 * (y % 2)
        + 100 * (z % 2)
        + 1000 * (x // 2)
        + 10000 * (y // 2)
        + 100000 * (z // 2)
        for x, y, z in places
    ]


def test_abstract_numbers_of_two_types_become_one() -> None:
    assert outcome(shader("o[i] = u32(select(0.0, 4, i < 3u));"))[:4] == [4, 4, 4, 0]
