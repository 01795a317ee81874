"""What the decoder computes, in float64 NumPy: all positions of a text at once.

Written from the model's definition and not from the kernels, so that a slip in
those is not repeated here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from properties.bench.decoder.shape import EPSILON, Floats, Shape

Doubles = npt.NDArray[np.float64]
_ROTARY_BASE = 10_000.0


def logits_after(shape: Shape, weights: Mapping[str, Floats], tokens: Sequence[int]) -> Doubles:
    """The logits that follow the last of ``tokens``."""
    x = weights["embedding"][list(tokens)].astype(np.float64)
    for layer in range(shape.layers):

        def weight(name: str, layer: int = layer) -> Doubles:
            return weights[f"{layer}.{name}"].astype(np.float64)

        x = x + _attend(shape, _norm(x, weight("norm")) @ weight("qkv").T) @ weight("out").T
        gate, up = np.split(_norm(x, weight("mlp_norm")) @ weight("gate_up").T, 2, axis=1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weight("down").T
    last: Doubles = _norm(x[-1:], weights["last_norm"].astype(np.float64))[0]
    logits: Doubles = weights["embedding"].astype(np.float64) @ last
    return logits


def _norm(x: Doubles, gain: Doubles) -> Doubles:
    normed: Doubles = x / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + EPSILON) * gain
    return normed


def _attend(shape: Shape, qkv: Doubles) -> Doubles:
    """Causal attention, the queries of a group sharing their key head."""
    count, width = len(qkv), shape.head_width
    queries, keys, values = np.split(
        qkv, [shape.query_width, shape.query_width + shape.key_width], axis=1
    )
    q = _turn(queries.reshape(count, shape.heads, width))
    k = _turn(keys.reshape(count, shape.key_heads, width))
    v = values.reshape(count, shape.key_heads, width)
    shared = shape.heads // shape.key_heads
    k, v = np.repeat(k, shared, axis=1), np.repeat(v, shared, axis=1)
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(width)
    scores[:, ~np.tri(count, dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    mixed: Doubles = np.einsum("hts,shd->thd", weights, v).reshape(count, -1)
    return mixed


def _turn(heads: Doubles) -> Doubles:
    """Rotary embedding: pairs (n, n + half) as complex numbers, turned by their position."""
    count, _, width = heads.shape
    half = width // 2
    speeds = _ROTARY_BASE ** (-np.arange(half) / half)
    turns = np.exp(1j * np.outer(np.arange(count), speeds))[:, None]
    turned = (heads[..., :half] + 1j * heads[..., half:]) * turns
    return np.concatenate([turned.real, turned.imag], axis=2)
