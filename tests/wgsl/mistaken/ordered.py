"""Ten mistakes that only another order of workgroups and atomics shows."""

from tests.wgsl.mistaken.case import HEAD, MAIN, Case, ramp

_FLAG = "@group(0) @binding(2) var<storage, read_write> flag: atomic<u32>;\n"
_COUNT = "var<workgroup> count: atomic<u32>;\n"
_WORDS = "var<workgroup> s: array<u32, 64>;\n"
_BUFFERS = (ramp(256), ramp(256), 4)

ORDERED = (
    Case(
        name="flag_that_orders_nothing",
        kind="race",
        text=f"""{HEAD}{_FLAG}{MAIN}
    if (w.x == 0u) {{
        if (l == 0u && atomicLoad(&flag) == 1u) {{
            out[0] = x[200]; //!
        }}
    }} else if (l == 0u) {{
        x[200] = 5u; //!
        atomicStore(&flag, 1u);
    }}
}}""",
        mend=(("out[0] = x[200]", "out[0] = x[100]"),),
        buffers=_BUFFERS,
    ),
    Case(
        name="lock_that_orders_nothing",
        kind="race",
        text=f"""{HEAD}{_FLAG}{MAIN}
    if (atomicCompareExchangeWeak(&flag, 0u, 1u).exchanged) {{
        out[0] += x[id.x]; //!
        atomicStore(&flag, 0u);
    }}
}}""",
        mend=(
            ("read_write> out: array<u32>", "read_write> out: array<atomic<u32>>"),
            ("out[0] += x[id.x]", "atomicAdd(&out[0], x[id.x])"),
        ),
        buffers=_BUFFERS,
    ),
    Case(
        name="the_winner_writes",
        kind="race",
        text=f"""{HEAD}{_FLAG}{MAIN}
    let is_first = atomicExchange(&flag, x[id.x] + 1u) == 0u;
    if (is_first && w.x == 1u) {{
        out[7] = 1u; //!
    }}
    if (id.x == 0u) {{
        out[7] = 2u; //!
    }}
}}""",
        mend=(("out[7] = 1u", "out[8] = 1u"),),
        buffers=_BUFFERS,
    ),
    Case(
        name="ring_that_is_too_short",
        kind="race",
        text=f"""{HEAD}{_COUNT}{_WORDS}{MAIN}
    s[l] = 0u;
    workgroupBarrier();
    let at = atomicAdd(&count, 1u) % 48u;
    if (l < 48u) {{
        s[at] = x[id.x]; //!
    }}
    workgroupBarrier();
    out[id.x] = s[l];
}}""",
        mend=(("% 48u", "% 64u"),),
    ),
    Case(
        name="items_that_do_not_fit",
        kind="bounds",
        text=f"""{HEAD}{_FLAG}{MAIN}
    let size = 1u + id.x % 2u * 2u;
    let at = atomicAdd(&flag, size);
    if (at < arrayLength(&out)) {{
        for (var k = 0u; k < size; k++) {{
            out[at + k] = x[id.x]; //!
        }}
    }}
}}""",
        mend=(("at < arr", "at + size <= arr"),),
        buffers=(ramp(256), ramp(201), 4),
    ),
    Case(
        name="queue_that_ends_too_late",
        kind="bounds",
        text=f"""{HEAD}{_FLAG}{MAIN}
    let at = atomicAdd(&flag, 1u);
    if (id.x < arrayLength(&x)) {{
        out[at] = x[id.x]; //!
    }}
}}""",
        mend=(
            ("    let at = atomicAdd(&flag, 1u);\n", ""),
            ("        out[at]", "        out[atomicAdd(&flag, 1u)]"),
        ),
        buffers=(ramp(100), ramp(100), 4),
    ),
    Case(
        name="places_that_nobody_takes",
        kind="unwritten",
        text=f"""{HEAD}{_COUNT}{_WORDS}{MAIN}
    let at = atomicAdd(&count, 1u);
    if (l < 32u) {{
        s[at] = x[id.x];
    }}
    workgroupBarrier();
    out[id.x] = s[l % 32u]; //!
}}""",
        mend=(("    if (l < 32u) {\n        s[at]", "    {\n        s[at]"),),
    ),
    Case(
        name="one_order_of_six",
        kind="race",
        text=f"""{HEAD}{_COUNT}
@compute @workgroup_size(3)
fn main(@builtin(local_invocation_index) l: u32) {{
    let turn = atomicAdd(&count, 1u);
    let at = select(1u + l, 0u, turn == (l + 1u) % 3u);
    out[at] = x[l]; //!
}}""",
        mend=(("1u + l, 0u,", "1u + l, 4u + l,"),),
        grid=1,
    ),
    Case(
        name="divided_by_who_comes",
        kind="arithmetic",
        text=f"""{HEAD}{_COUNT}{MAIN}
    let turn = atomicAdd(&count, 1u);
    out[id.x] = x[id.x] / ((63u - turn) ^ l); //!
}}""",
        mend=(("((63u - turn) ^ l)", "max(turn, 1u)"),),
        arithmetic=True,
    ),
    Case(
        name="shifted_by_who_comes",
        kind="arithmetic",
        text=f"""{HEAD}{_FLAG}{MAIN}
    let turn = atomicAdd(&flag, 1u);
    if (w.x == 0u) {{
        out[id.x] = x[id.x] << (turn / 2u); //!
    }}
}}""",
        mend=(("turn / 2u", "turn / 4u"),),
        buffers=_BUFFERS,
        arithmetic=True,
    ),
)
