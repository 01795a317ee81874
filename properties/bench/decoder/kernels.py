"""The decoder's kernels: WGSL beside NumPy meanings.

Each takes its sizes as scalars, like the kernels of compilers, so every dispatch has
a uniform.
"""

from typing import Any

import numpy as np

from gpusim.kernels import Binding, Kernel, Scalar
from gpusim.kernels.kernel import Array
from properties.bench.decoder.shape import EPSILON

_TOLERANCE = 2.0**-14
"""The relative error that one dispatch may add: it sums some hundred products in any order."""
_SUM = """
var<workgroup> parts: array<f32, 64>;
fn total(lane: u32, mine: f32) -> f32 {
    parts[lane] = mine;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (lane < half) { parts[lane] += parts[lane + half]; }
        workgroupBarrier();
    }
    let sum = parts[0];
    workgroupBarrier();
    return sum;
}
"""
"""Sums one number of each lane, and gives the sum to every lane."""


def _f32(name: str, *, written: bool = False) -> Binding:
    return Binding(name=name, dtype="f32", access="read_write" if written else "read")


def _embed(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    table, x = arrays
    token, width = scalars
    x[:width] = table[int(token) * int(width) :][:width]


EMBED = Kernel(
    name="embed",
    buffers=(_f32("table"), _f32("x", written=True)),
    scalars=(Scalar(name="token"), Scalar(name="width")),
    body="    if (i < args.width) { x[i] = table[args.token * args.width + i]; }",
    meaning=_embed,
)
"""x <- the row of ``token``."""


def _norm(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, gain, y = arrays
    (width,) = scalars
    mean = np.mean(np.square(x[:width], dtype=np.float64))
    y[:width] = x[:width] / np.sqrt(mean + EPSILON) * gain[:width]


NORM = Kernel(
    name="norm",
    buffers=(_f32("x"), _f32("gain"), _f32("y", written=True)),
    scalars=(Scalar(name="width"),),
    declarations=_SUM,
    body=f"""
    var squares = 0.0;
    for (var n = lane; n < args.width; n += 64u) {{ squares += x[n] * x[n]; }}
    let scale = inverseSqrt(total(lane, squares) / f32(args.width) + {EPSILON});
    for (var n = lane; n < args.width; n += 64u) {{ y[n] = x[n] * scale * gain[n]; }}""",
    meaning=_norm,
    tolerance=_TOLERANCE,
)
"""RMSNorm, by one workgroup."""

_DOT = """
    var sum = 0.0;
    for (var n = lane; n < args.columns; n += 64u) {
        sum += matrix[group * args.columns + n] * x[n];
    }
    let dot = total(lane, sum);
"""


def _project(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    matrix, x, y = arrays
    (columns,) = scalars
    y[:groups] = _rows(matrix, groups, columns) @ x[:columns]


def _add(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    matrix, x, y = arrays
    (columns,) = scalars
    y[:groups] += _rows(matrix, groups, columns) @ x[:columns]


def _rows(matrix: Array, rows: int, columns: int) -> Array:
    return matrix[: rows * int(columns)].reshape(rows, int(columns))


PROJECT = Kernel(
    name="project",
    buffers=(_f32("matrix"), _f32("x"), _f32("y", written=True)),
    scalars=(Scalar(name="columns"),),
    declarations=_SUM,
    body=f"{_DOT}    if (lane == 0u) {{ y[group] = dot; }}",
    meaning=_project,
    tolerance=_TOLERANCE,
)
"""y <- matrix x, one row for each workgroup."""

ADD = Kernel(
    name="project_add",
    buffers=PROJECT.buffers,
    scalars=PROJECT.scalars,
    declarations=_SUM,
    body=f"{_DOT}    if (lane == 0u) {{ y[group] += dot; }}",
    meaning=_add,
    tolerance=_TOLERANCE,
)
"""y <- y + matrix x: a projection back to the residual stream."""


def _rotate(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    qkv, table, queries, keys, values = arrays
    position, heads, key_heads, head_width = map(int, scalars)
    half, key_width = head_width // 2, key_heads * head_width
    cosines, sines = table[position * head_width :][:head_width].reshape(2, half)
    first, second = (
        qkv[: (heads + key_heads) * head_width]
        .reshape(heads + key_heads, 2, half)
        .transpose(1, 0, 2)
    )
    turned = np.stack([first * cosines - second * sines, second * cosines + first * sines], axis=1)
    queries[: heads * head_width] = turned[:heads].ravel()
    keys[position * key_width :][:key_width] = turned[heads:].ravel()
    values[position * key_width :][:key_width] = qkv[turned.size :][:key_width]


ROTATE = Kernel(
    name="rotate",
    buffers=(
        _f32("qkv"),
        _f32("table"),
        _f32("queries", written=True),
        _f32("keys", written=True),
        _f32("values", written=True),
    ),
    scalars=tuple(Scalar(name=name) for name in ("position", "heads", "key_heads", "head_width")),
    body="""
    let key_width = args.key_heads * args.head_width;
    let turned = (args.heads + args.key_heads) * args.head_width;
    if (i < turned) {
        let half = args.head_width / 2u;
        let place = i % args.head_width;
        let pair = place % half;
        let at = args.position * args.head_width + pair;
        let other = qkv[select(i - half, i + half, place < half)];
        let sine = select(table[at + half], -table[at + half], place < half);
        let value = qkv[i] * table[at] + other * sine;
        if (i < args.heads * args.head_width) {
            queries[i] = value;
        } else {
            keys[args.position * key_width + i - args.heads * args.head_width] = value;
        }
    } else if (i < turned + key_width) {
        values[args.position * key_width + i - turned] = qkv[i];
    }""",
    meaning=_rotate,
    tolerance=_TOLERANCE,
)
"""Rotary embedding of queries and keys; keys and values go to ``position`` of the cache."""


def _attend(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    queries, keys, values, y = arrays
    positions, heads, key_heads, head_width = map(int, scalars)
    kept = positions * key_heads * head_width
    shape = (positions, key_heads, head_width)
    shared = np.arange(heads) // (heads // key_heads)
    k, v = (cache[:kept].reshape(shape)[:, shared] for cache in (keys, values))
    q = queries[: heads * head_width].reshape(heads, head_width)
    scores = np.einsum("hd,phd->hp", q, k) / np.sqrt(np.float32(head_width))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    y[: heads * head_width] = np.einsum("hp,phd->hd", weights, v).ravel()


ATTEND = Kernel(
    name="attend",
    buffers=(_f32("queries"), _f32("keys"), _f32("values"), _f32("y", written=True)),
    scalars=tuple(Scalar(name=name) for name in ("positions", "heads", "key_heads", "head_width")),
    declarations=_SUM + "var<workgroup> scores: array<f32, 1024>;\n",
    body="""
    let key_width = args.key_heads * args.head_width;
    let start = group / (args.heads / args.key_heads) * args.head_width;
    for (var p = lane; p < args.positions; p += 64u) {
        var score = 0.0;
        for (var n = 0u; n < args.head_width; n++) {
            score += queries[group * args.head_width + n] * keys[p * key_width + start + n];
        }
        scores[p] = score * inverseSqrt(f32(args.head_width));
    }
    workgroupBarrier();
    var most = scores[0];
    for (var p = 1u; p < args.positions; p++) { most = max(most, scores[p]); }
    workgroupBarrier();
    var mine = 0.0;
    for (var p = lane; p < args.positions; p += 64u) {
        scores[p] = exp(scores[p] - most);
        mine += scores[p];
    }
    let sum = total(lane, mine);
    for (var n = lane; n < args.head_width; n += 64u) {
        var value = 0.0;
        for (var p = 0u; p < args.positions; p++) {
            value += scores[p] * values[p * key_width + start + n];
        }
        y[group * args.head_width + n] = value / sum;
    }""",
    meaning=_attend,
    tolerance=_TOLERANCE,
)
"""Attention, one query for each head, over the first ``positions`` (at most 1,024) of the cache."""


def _gate(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    matrix, x, y = arrays
    columns, hidden = scalars
    both = _rows(matrix, int(hidden) + groups, columns) @ x[:columns]
    gate, up = both[:groups], both[int(hidden) :]
    y[:groups] = gate / (1 + np.exp(-gate)) * up


GATE = Kernel(
    name="gate",
    buffers=PROJECT.buffers,
    scalars=(Scalar(name="columns"), Scalar(name="hidden")),
    declarations=_SUM,
    body="""
    var gates = 0.0;
    var ups = 0.0;
    for (var n = lane; n < args.columns; n += 64u) {
        gates += matrix[group * args.columns + n] * x[n];
        ups += matrix[(args.hidden + group) * args.columns + n] * x[n];
    }
    let gate = total(lane, gates);
    let up = total(lane, ups);
    if (lane == 0u) { y[group] = gate / (1.0 + exp(-gate)) * up; }""",
    meaning=_gate,
    tolerance=_TOLERANCE,
)
"""y <- silu(gate x) * (up x), a pair of rows for each workgroup."""


def _largest(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    logits, token = arrays
    (count,) = scalars
    token[0] = np.argmax(logits[:count])


LARGEST = Kernel(
    name="largest",
    buffers=(_f32("logits"), Binding(name="token", access="read_write")),
    scalars=(Scalar(name="count"),),
    declarations="var<workgroup> best: array<u32, 256>;\n",
    group_size=256,
    body="""
    var mine = min(lane, args.count - 1u);
    for (var n = lane; n < args.count; n += 256u) {
        if (logits[n] > logits[mine]) { mine = n; }
    }
    best[lane] = mine;
    workgroupBarrier();
    if (lane == 0u) {
        for (var n = 1u; n < 256u; n++) {
            let rival = best[n];
            if (logits[rival] > logits[mine] || (logits[rival] == logits[mine] && rival < mine)) {
                mine = rival;
            }
        }
        token[0] = mine;
    }""",
    meaning=_largest,
)
"""token[0] <- the place of the largest logit, the first of equal ones."""

KERNELS = (EMBED, NORM, PROJECT, ADD, ROTATE, ATTEND, GATE, LARGEST)
