"""Thirteen mistakes in algorithms as people write them: sums, scans, tiles, sorts, packed bytes."""

import numpy as np

from tests.wgsl.mistaken.case import HEAD, MAIN, Case, ramp

_ARGS = "struct Args { n: u32 }\n@group(0) @binding(2) var<uniform> args: Args;\n"
_WORDS = "var<workgroup> s: array<u32, 64>;"
_TILE = "var<workgroup> tile: array<array<u32, 64>, 2>;"
_HALVES = "var<workgroup> s: array<u32, 128>;"
_SHUFFLED = (ramp(256) * np.uint32(2654435761) >> 20).astype(np.uint32)

RACES = (
    Case(
        name="no_barrier_in_the_last_turn",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    for (var step = 32u; step > 0u; step >>= 1u) {{
        if (l < step) {{
            s[l] += s[l + step]; //!
        }}
        if (step > 1u) {{ workgroupBarrier(); }}
    }}
    out[id.x] = s[0]; //!
}}""",
        mend=(("if (step > 1u) { workgroupBarrier(); }", "workgroupBarrier();"),),
    ),
    Case(
        name="wrong_parity",
        kind="race",
        text=f"""{HEAD}{_HALVES}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    for (var k = 0u; k < 6u; k++) {{
        let source = (k & 1u) * 64u;
        let to = 64u - ((k >> 2u) & 1u) * 64u;
        s[to + l] = s[source + l] + s[source + ((l + (1u << k)) & 63u)]; //!
        workgroupBarrier();
    }}
    out[id.x] = s[l];
}}""",
        mend=(("(k >> 2u) & 1u", "k & 1u"),),
    ),
    Case(
        name="two_tiles_that_change_too_late",
        kind="race",
        text=f"""{HEAD}{_TILE}{MAIN}
    var total = 0u;
    for (var t = 0u; t < 4u; t++) {{
        let which = (t >> 1u) & 1u;
        tile[which][l] = x[t * 64u + l]; //!
        workgroupBarrier();
        total += tile[which][63u - l]; //!
    }}
    out[id.x] = total;
}}""",
        mend=(("(t >> 1u) & 1u", "t & 1u"),),
    ),
    Case(
        name="halves_that_overlap",
        kind="race",
        text=f"""{HEAD}{_HALVES}{MAIN}
    s[l] = x[id.x];
    s[64u + l] = 0u;
    workgroupBarrier();
    var source = 0u;
    for (var step = 1u; step < 64u; step <<= 1u) {{
        let to = 63u - source;
        var sum = s[source + l]; //!
        if (l >= step) {{
            sum += s[source + l - step]; //!
        }}
        s[to + l] = sum; //!
        workgroupBarrier();
        source = to;
    }}
    out[id.x] = s[source + l];
}}""",
        mend=(("63u - source", "64u - source"),),
    ),
    Case(
        name="down_without_a_barrier",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    for (var d = 1u; d < 64u; d <<= 1u) {{
        workgroupBarrier();
        let at = (l + 1u) * 2u * d - 1u;
        if (at < 64u) {{
            s[at] += s[at - d];
        }}
    }}
    workgroupBarrier();
    if (l == 0u) {{ s[63] = 0u; }}
    workgroupBarrier();
    for (var d = 32u; d > 0u; d >>= 1u) {{
        let at = (l + 1u) * 2u * d - 1u;
        if (at < 64u) {{
            let kept = s[at - d]; //!
            s[at - d] = s[at]; //!
            s[at] += kept; //!
        }}
    }}
    workgroupBarrier();
    out[id.x] = s[l];
}}""",
        mend=(
            (
                "d >>= 1u) {\n        let at",
                "d >>= 1u) {\n        workgroupBarrier();\n        let at",
            ),
        ),
    ),
    Case(
        name="histograms_joined_by_plain_sums",
        kind="race",
        text=f"""{HEAD}var<workgroup> bins: array<atomic<u32>, 64>;{MAIN}
    atomicAdd(&bins[x[id.x] % 64u], 1u);
    workgroupBarrier();
    out[l] += atomicLoad(&bins[l]); //!
}}""",
        mend=(
            ("read_write> out: array<u32>", "read_write> out: array<atomic<u32>>"),
            ("out[l] += atomicLoad(&bins[l])", "atomicAdd(&out[l], atomicLoad(&bins[l]))"),
        ),
    ),
    Case(
        name="last_workgroup_reads_plain_sums",
        kind="race",
        text=f"""{HEAD}
@group(0) @binding(2) var<storage, read_write> done: atomic<u32>;
var<workgroup> is_last: bool;{MAIN}
    if (l == 0u) {{
        out[w.x] = x[id.x]; //!
        is_last = atomicAdd(&done, 1u) == 3u;
    }}
    storageBarrier();
    workgroupBarrier();
    if (is_last && l == 0u) {{
        var total = 0u;
        for (var k = 0u; k < 4u; k++) {{
            total += out[k]; //!
        }}
        out[4] = total;
    }}
}}""",
        mend=(
            ("read_write> out: array<u32>", "read_write> out: array<atomic<u32>>"),
            ("out[w.x] = x[id.x]", "atomicStore(&out[w.x], x[id.x])"),
            ("total += out[k]", "total += atomicLoad(&out[k])"),
            ("out[4] = total", "atomicStore(&out[4], total)"),
        ),
        buffers=(ramp(256), ramp(256), 4),
        grid=4,
    ),
    Case(
        name="bytes_of_one_word",
        kind="race",
        text=f"""{HEAD}{MAIN}
    let shift = (id.x & 3u) * 8u;
    let rest = out[id.x >> 2u] & ~(255u << shift); //!
    out[id.x >> 2u] = rest | ((x[id.x] & 255u) << shift); //!
}}""",
        mend=(
            ("read_write> out: array<u32>", "read_write> out: array<atomic<u32>>"),
            ("let rest = out[id.x >> 2u] & ~(255u << shift);", ""),
            (
                "out[id.x >> 2u] = rest | ((x[id.x] & 255u) << shift);",
                "atomicOr(&out[id.x >> 2u], (x[id.x] & 255u) << shift);",
            ),
        ),
    ),
    Case(
        name="both_partners_swap",
        kind="race",
        text=f"""{HEAD}{_WORDS}{MAIN}
    s[l] = x[id.x];
    workgroupBarrier();
    for (var k = 2u; k <= 64u; k <<= 1u) {{
        for (var j = k >> 1u; j > 0u; j >>= 1u) {{
            let other = l ^ j;
            if (other != l) {{
                let mine = s[l]; //!
                let theirs = s[other]; //!
                if ((mine > theirs) == ((l & k) == 0u)) {{
                    s[l] = theirs; //!
                    s[other] = mine; //!
                }}
            }}
            workgroupBarrier();
        }}
    }}
    out[id.x] = s[l];
}}""",
        mend=(("other != l", "other > l"),),
        buffers=(_SHUFFLED, ramp(256)),
    ),
    Case(
        name="transposed_in_place_by_all",
        kind="race",
        text=f"""{HEAD}
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    let here = id.y * 16u + id.x + out[0];
    let there = id.x * 16u + id.y + out[0];
    if (id.x != id.y) {{
        let kept = x[here]; //!
        x[here] = x[there]; //!
        x[there] = kept; //!
    }}
}}""",
        mend=(("id.x != id.y", "id.x < id.y"),),
        grid=(2, 2, 1),
    ),
)
OTHERS = (
    Case(
        name="rows_not_a_multiple",
        kind="bounds",
        text=f"""{HEAD}{_ARGS}var<workgroup> tile: array<array<u32, 9>, 8>;
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_id) l: vec3u,
        @builtin(workgroup_id) w: vec3u) {{
    tile[l.y][l.x] = 0u;
    if (id.x < args.n && id.y < args.n) {{
        tile[l.y][l.x] = x[id.y * args.n + id.x];
    }}
    workgroupBarrier();
    let at = vec2u(w.y * 8u + l.x, w.x * 8u + l.y);
    if (at.x < args.n) {{
        out[at.y * args.n + at.x] = tile[l.x][l.y]; //!
    }}
}}""",
        mend=(("if (at.x < args.n)", "if (at.x < args.n && at.y < args.n)"),),
        buffers=(ramp(100), ramp(100)),
        scalars=(10,),
        grid=(2, 2, 1),
        harmless=((ramp(256), ramp(256)), (16,), (2, 2, 1)),
    ),
    Case(
        name="turns_not_a_multiple",
        kind="barrier",
        text=f"""{HEAD}{_ARGS}{_WORDS}{MAIN}
    var total = 0u;
    for (var at = l; at < args.n; at += 64u) {{
        s[l] = x[at];
        workgroupBarrier(); //!
        total += s[l ^ 1u];
        workgroupBarrier(); //!
    }}
    out[id.x] = total;
}}""",
        mend=(
            ("var at = l; at < args.n", "var first = 0u; first < args.n"),
            ("at += 64u", "first += 64u"),
            ("s[l] = x[at]", "s[l] = x[min(first + l, args.n - 1u)]"),
        ),
        scalars=(100,),
        grid=1,
    ),
    Case(
        name="sums_of_rows_that_are_not_there",
        kind="unwritten",
        text=f"""{HEAD}{_ARGS}var<workgroup> sums: array<u32, 4>;{MAIN}
    if (l % 16u == 0u && id.x < args.n) {{
        var sum = 0u;
        for (var k = 0u; k < 16u; k++) {{ sum += x[id.x + k]; }}
        sums[l / 16u] = sum;
    }}
    workgroupBarrier();
    if (l == 0u) {{
        out[w.x] = sums[0] + sums[1] + sums[2] + sums[3]; //!
    }}
}}""",
        mend=(
            (
                "    if (l % 16u",
                "    if (l < 4u) { sums[l] = 0u; }\n    workgroupBarrier();\n    if (l % 16u",
            ),
        ),
        scalars=(96,),
        harmless=((ramp(256), ramp(256)), (128,), 2),
    ),
)
IDIOMS = (*RACES, *OTHERS)
