"""Twenty other mistakes: indices, memory that nobody wrote, barriers, arithmetic."""

import numpy as np

from tests.wgsl.mistaken.case import HEAD, MAIN, Case, ramp

_WORDS = "var<workgroup> s: array<u32, 64>;"
_ARGS = "struct Args { n: u32 }\n@group(0) @binding(2) var<uniform> args: Args;\n"
_FLOATS = HEAD.replace("array<u32>", "array<f32>")


def _floats(*first: float) -> np.ndarray:
    values = np.ones(256, np.float32)
    values[: len(first)] = first
    return values


BOUNDS = (
    Case(
        name="no_guard",
        kind="bounds",
        text=f"{HEAD}{MAIN}    out[id.x] = x[id.x]; //!\n}}",
        mend=(("    out", "    if (id.x >= arrayLength(&x)) { return; }\n    out"),),
        buffers=(ramp(100), ramp(256)),
        harmless=((ramp(128), ramp(256)), (), 2),
    ),
    Case(
        name="one_too_many",
        kind="bounds",
        text=f"""{HEAD}{MAIN}
    if (id.x <= arrayLength(&x)) {{
        out[id.x] = x[id.x]; //!
    }}
}}""",
        mend=(("<=", "<"),),
        buffers=(ramp(100), ramp(256)),
    ),
    Case(
        name="left_of_the_first",
        kind="bounds",
        text=f"{HEAD}{MAIN}    out[id.x] = x[id.x - 1u]; //!\n}}",
        mend=(("id.x - 1u", "max(id.x, 1u) - 1u"),),
    ),
    Case(
        name="negative",
        kind="bounds",
        text=f"{HEAD}{MAIN}    let at = i32(id.x) - 3;\n    out[id.x] = x[at]; //!\n}}",
        mend=(("x[at]", "x[abs(at)]"),),
    ),
    Case(
        name="right_of_the_last",
        kind="bounds",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    out[id.x] = s[l + 1u]; //!
}}""",
        mend=(("s[l + 1u]", "s[(l + 1u) % 64u]"),),
    ),
    Case(
        name="rows_for_columns",
        kind="bounds",
        text=f"""{HEAD}var<workgroup> tile: array<array<u32, 8>, 4>;
@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) l: vec3u) {{
    tile[l.x][l.y] = x[id.y * 8u + id.x]; //!
    workgroupBarrier();
    out[id.y * 8u + id.x] = tile[l.y][l.x / 2u];
}}""",
        mend=(("tile[l.x][l.y]", "tile[l.y][l.x]"),),
        grid=1,
    ),
    Case(
        name="index_from_data",
        kind="bounds",
        text=f"{HEAD}{MAIN}    out[id.x] = x[x[id.x]]; //!\n}}",
        mend=(("x[x[id.x]]", "x[x[id.x] % arrayLength(&x)]"),),
        buffers=(7 * ramp(256), ramp(256)),
        harmless=((ramp(256), ramp(256)), (), 2),
    ),
    Case(
        name="array_of_one_invocation",
        kind="bounds",
        text=f"""{HEAD}{MAIN}
    var kept: array<u32, 4>;
    for (var k = 0u; k <= 4u; k++) {{
        kept[k] = x[id.x]; //!
    }}
    out[id.x] = kept[l % 4u];
}}""",
        mend=(("k <= 4u", "k < 4u"),),
    ),
    Case(
        name="component",
        kind="bounds",
        text=f"""{HEAD}{MAIN}
    let v = vec3u(id.x, 7u, 9u);
    out[id.x] = v[l % 4u] + x[id.x]; //!
}}""",
        mend=(("l % 4u", "l % 3u"),),
    ),
)
UNWRITTEN = (
    Case(
        name="half_written",
        kind="unwritten",
        text=f"""{HEAD}{_WORDS}{MAIN}
    if (l < 32u) {{
        s[l] = x[id.x];
    }}
    workgroupBarrier();
    out[id.x] = s[l]; //!
}}""",
        mend=(("= s[l]", "= s[l % 32u]"),),
    ),
    Case(
        name="edge_of_a_tile",
        kind="unwritten",
        text=f"""{HEAD}var<workgroup> s: array<u32, 66>;{MAIN}
    s[l + 1u] = x[id.x];
    workgroupBarrier();
    out[id.x] = s[l] + s[l + 1u]; //!
}}""",
        mend=(("    workgroupBarrier", "    if (l == 0u) { s[0] = 0u; }\n    workgroupBarrier"),),
    ),
    Case(
        name="tail_not_written",
        kind="unwritten",
        text=f"""{HEAD}{_ARGS}{_WORDS}{MAIN}
    if (id.x < args.n) {{
        s[l] = x[id.x];
    }}
    workgroupBarrier();
    var total = 0u;
    for (var k = 0u; k < 64u; k++) {{
        total += s[k]; //!
    }}
    out[id.x] = total;
}}""",
        mend=(("    if (id.x < args.n)", "    s[l] = 0u;\n    if (id.x < args.n)"),),
        scalars=(100,),
        harmless=((ramp(256), ramp(256)), (128,), 2),
    ),
)
BARRIERS = (
    Case(
        name="barrier_in_a_branch",
        kind="barrier",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    if (l < 32u) {{
        workgroupBarrier(); //!
    }}
    out[id.x] = s[l];
}}""",
        mend=(("l < 32u", "w.x < 1u"),),
    ),
    Case(
        name="barrier_after_a_return",
        kind="barrier",
        text=f"""{HEAD}{_WORDS}{MAIN}
    if (id.x >= arrayLength(&x)) {{ return; }}
    s[l] = x[id.x];
    workgroupBarrier(); //!
    out[id.x] = s[l];
}}""",
        mend=(
            ("    if (id.x >= arrayLength(&x)) { return; }\n", ""),
            ("x[id.x];", "x[min(id.x, arrayLength(&x) - 1u)];"),
        ),
        buffers=(ramp(100), ramp(256)),
        grid=2,
    ),
    Case(
        name="barrier_in_a_loop",
        kind="barrier",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    for (var k = 0u; k < l % 3u; k++) {{
        workgroupBarrier(); //!
    }}
    out[id.x] = s[l];
}}""",
        mend=(("l % 3u", "w.x % 3u"),),
    ),
)
ARITHMETIC = (
    Case(
        name="divided_by_zero",
        kind="arithmetic",
        text=f"{HEAD}{MAIN}    out[id.x] = 100u / x[id.x]; //!\n}}",
        mend=(("/ x[id.x]", "/ max(x[id.x], 1u)"),),
        arithmetic=True,
    ),
    Case(
        name="wide_shift",
        kind="arithmetic",
        text=f"{HEAD}{MAIN}    out[id.x] = 1u << (x[id.x] & 63u); //!\n}}",
        mend=(("& 63u", "& 31u"),),
        arithmetic=True,
    ),
    Case(
        name="float_below_zero",
        kind="arithmetic",
        text=f"{_FLOATS}{MAIN}    out[id.x] = f32(u32(x[id.x])); //!\n}}",
        mend=(("u32(x[id.x])", "u32(max(x[id.x], 0.0))"),),
        buffers=(_floats(-2.5), _floats()),
        harmless=((_floats(2.5), _floats()), (), 2),
        arithmetic=True,
    ),
    Case(
        name="root_of_less_than_nothing",
        kind="arithmetic",
        text=f"{_FLOATS}{MAIN}    out[id.x] = sqrt(x[id.x]); //!\n}}",
        mend=(("sqrt(x[id.x])", "sqrt(max(x[id.x], 0.0))"),),
        buffers=(_floats(4, -1), _floats()),
        arithmetic=True,
    ),
    Case(
        name="index_wraps",
        kind="arithmetic",
        text=f"{HEAD}{MAIN}    let at = id.x * 67108864u; //!\n    out[id.x] = x[at % 128u];\n}}",
        mend=(("67108864u", "3u"),),
        arithmetic=True,
    ),
)
OTHERS = (*BOUNDS, *UNWRITTEN, *BARRIERS, *ARITHMETIC)
