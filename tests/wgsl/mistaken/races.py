"""Twenty races: ten within a workgroup, five across workgroups, five that some inputs show."""

import numpy as np

from tests.wgsl.mistaken.case import HEAD, MAIN, Case, ramp

_WORDS = "var<workgroup> s: array<u32, 64>;"
_ATOMIC = (
    "var<storage, read_write> out: array<u32>",
    "var<storage, read_write> out: array<atomic<u32>>",
)
WITHIN = (
    Case(
        name="shift_in_place",
        kind="race",
        text=f"""{HEAD}{MAIN}
    let next = x[min(id.x + 1u, 127u)]; //!
    x[id.x] = next + out[id.x]; //!
}}""",
        mend=(("x[id.x] = next + out[id.x]", "out[id.x] = next + out[id.x]"),),
        grid=1,
    ),
    Case(
        name="all_write_one",
        kind="race",
        text=f"{HEAD}{MAIN}    out[1] = x[id.x]; //!\n}}",
        mend=(("    out[1]", "    if (id.x == 0u) { out[1]"), ("]; //!", "]; }")),
        grid=1,
    ),
    Case(
        name="reduction_without_barrier",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    for (var step = 32u; step > 0u; step >>= 1u) {{
        if (l < step) {{
            s[l] += s[l + step]; //!
        }}
    }}
    if (l == 0u) {{ out[w.x] = s[0]; }}
}}""",
        mend=(("        }\n    }", "        }\n        workgroupBarrier();\n    }"),),
    ),
    Case(
        name="tile_without_barrier",
        kind="race",
        text=f"""{HEAD}var<workgroup> tile: array<array<u32, 8>, 8>;
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) l: vec3u) {{
    tile[l.y][l.x] = x[id.y * 16u + id.x]; //!
    out[id.y * 16u + id.x] = tile[l.x][l.y]; //!
}}""",
        mend=(("; //!\n    out", ";\n    workgroupBarrier();\n    out"),),
        grid=(2, 2, 1),
    ),
    Case(
        name="histogram_without_atomics",
        kind="race",
        text=f"""{HEAD}var<workgroup> bins: array<u32, 64>;{MAIN}
    bins[l] = 0u;
    workgroupBarrier();
    bins[x[id.x] % 7u] += 1u; //!
    workgroupBarrier();
    out[id.x] = bins[l];
}}""",
        mend=(
            ("array<u32, 64>", "array<atomic<u32>, 64>"),
            ("bins[l] = 0u", "atomicStore(&bins[l], 0u)"),
            ("bins[x[id.x] % 7u] += 1u", "atomicAdd(&bins[x[id.x] % 7u], 1u)"),
            ("= bins[l]", "= atomicLoad(&bins[l])"),
        ),
    ),
    Case(
        name="tile_loop_with_one_barrier",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    var total = 0u;
    for (var round = 0u; round < 2u; round++) {{
        s[l] = x[round * 64u + l]; //!
        workgroupBarrier();
        total += s[63u - l]; //!
    }}
    out[id.x] = total;
}}""",
        mend=(("l]; //!\n    }", "l];\n        workgroupBarrier();\n    }"),),
    ),
    Case(
        name="overlapping_rows",
        kind="race",
        text=f"""{HEAD}{MAIN}
    for (var k = 0u; k < 4u; k++) {{
        out[l * 3u + k] = x[id.x]; //!
    }}
}}""",
        mend=(("l * 3u", "l * 4u"),),
        grid=1,
    ),
    Case(
        name="barrier_of_another_space",
        kind="race",
        text=f"""{HEAD}{MAIN}
    x[l] = 3u * out[l]; //!
    workgroupBarrier();
    out[l] = x[63u - l]; //!
}}""",
        mend=(("workgroupBarrier", "storageBarrier"),),
        grid=1,
    ),
    Case(
        name="broadcast",
        kind="race",
        text=f"""{HEAD}var<workgroup> first: u32;{MAIN}
    if (l == 0u) {{
        first = x[id.x]; //!
    }}
    out[id.x] = first; //!
}}""",
        mend=(("= first", "= workgroupUniformLoad(&first)"),),
    ),
    Case(
        name="scan_in_place",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    for (var step = 1u; step < 64u; step <<= 1u) {{
        var sum = s[l];
        if (l >= step) {{
            sum += s[l - step]; //!
        }}
        s[l] = sum; //!
        workgroupBarrier();
    }}
    out[id.x] = s[l];
}}""",
        mend=(("        s[l] = sum", "        workgroupBarrier();\n        s[l] = sum"),),
    ),
)
ACROSS = (
    Case(
        name="sum_of_workgroups",
        kind="race",
        text=f"""{HEAD}{MAIN}
    if (l == 0u) {{
        out[0] += x[id.x]; //!
    }}
}}""",
        mend=(_ATOMIC, ("out[0] += x[id.x]", "atomicAdd(&out[0], x[id.x])")),
    ),
    Case(
        name="stencil_in_place",
        kind="race",
        text=f"""{HEAD}{MAIN}
    let right = x[id.x + 1u]; //!
    storageBarrier();
    x[id.x] = right; //!
    out[id.x] = right;
}}""",
        mend=(("    x[id.x] = right;", ""),),
    ),
    Case(
        name="local_for_global",
        kind="race",
        text=f"{HEAD}{MAIN}    out[l] = x[id.x]; //!\n}}",
        mend=(("out[l]", "out[id.x]"),),
    ),
    Case(
        name="producer_and_consumer",
        kind="race",
        text=f"""{HEAD}{MAIN}
    if (w.x == 0u) {{
        x[l] = l; //!
    }} else {{
        out[l] = x[l]; //!
    }}
}}""",
        mend=(("= x[l]", "= x[l + 64u]"),),
    ),
    Case(
        name="narrow_rows",
        kind="race",
        text=f"""{HEAD}
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    out[id.y * 12u + id.x] = x[id.x]; //!
}}""",
        mend=(("    out[", "    if (id.x < 12u) { out["), ("]; //!", "]; }")),
        grid=(2, 1, 1),
    ),
)
_MANY = np.where(ramp(256) % 10 == 0, 9, 0).astype(np.uint32)
_ONE = np.where(ramp(256) == 77, 9, 0).astype(np.uint32)
_ARGS = "struct Args { n: u32 }\n@group(0) @binding(2) var<uniform> args: Args;\n"
SOMETIMES = (
    Case(
        name="scatter",
        kind="race",
        text=f"{HEAD}{MAIN}    out[x[id.x]] = id.x; //!\n}}",
        mend=(_ATOMIC, ("out[x[id.x]] = id.x", "atomicMax(&out[x[id.x]], id.x)")),
        buffers=(ramp(256) // 2, ramp(256)),
        harmless=((ramp(256)[::-1].copy(), ramp(256)), (), 2),
    ),
    Case(
        name="move_in_place",
        kind="race",
        text=f"""{HEAD}{_ARGS}{MAIN}
    x[id.x + args.n] = x[id.x] + out[id.x]; //!
}}""",
        mend=(("x[id.x + args.n] = ", "out[id.x] = args.n + "),),
        scalars=(1,),
        harmless=((ramp(256), ramp(256)), (0,), 2),
    ),
    Case(
        name="fold_into_few",
        kind="race",
        text=f"""{HEAD}{_ARGS}{_WORDS}{MAIN}
    s[l] = 0u;
    workgroupBarrier();
    s[l % args.n] = x[id.x]; //!
    workgroupBarrier();
    out[id.x] = s[l];
}}""",
        mend=(("    s[l % args.n] = x[id.x];", "    if (l < args.n) { s[l] = x[id.x]; }"),),
        scalars=(60,),
        harmless=((ramp(256), ramp(256)), (64,), 2),
    ),
    Case(
        name="count_of_few",
        kind="race",
        text=f"""{HEAD}{MAIN}
    if (x[id.x] > 5u) {{
        out[0] = out[0] + 1u; //!
    }}
}}""",
        mend=(_ATOMIC, ("out[0] = out[0] + 1u", "atomicAdd(&out[0], 1u)")),
        buffers=(_MANY, ramp(256)),
        harmless=((_ONE, ramp(256)), (), 2),
    ),
    Case(
        name="one_workgroup_meant",
        kind="race",
        text=f"{HEAD}{MAIN}    if (l == 0u) {{\n        out[0] = x[id.x]; //!\n    }}\n}}",
        mend=(("out[0]", "out[w.x]"),),
        harmless=((ramp(256), ramp(256)), (), 1),
    ),
)
RACES = (*WITHIN, *ACROSS, *SOMETIMES)
