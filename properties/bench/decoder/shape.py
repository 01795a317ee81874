"""The sizes of the decoder, its random weights, and the logits that it should compute.

The logits are computed in float64 NumPy, all positions of a text at once.  That code follows the
model's definition and not the kernels, so it does not repeat their mistakes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

EPSILON = 1e-5
"""Added to the mean square in RMSNorm."""
_ROTARY_BASE = 10_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The sizes of a Llama-shaped decoder; embedding and output share one matrix."""

    layers: int
    width: int
    heads: int
    key_heads: int
    """Heads of keys and values, each shared by ``heads // key_heads`` queries."""
    head_width: int
    hidden: int
    """Width inside the gated MLP."""
    vocabulary: int
    context: int
    """Positions that the key-value cache holds, a third of them for the prompt."""

    @property
    def query_width(self) -> int:
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        return self.key_heads * self.head_width

    @property
    def prompt(self) -> list[int]:
        """The tokens of the prompt; any tokens that differ from each other would do."""
        return [(7 * n + 1) % self.vocabulary for n in range(self.context // 3)]

    @property
    def new_tokens(self) -> int:
        """The number of tokens for which the cache has room after the prompt."""
        return self.context - len(self.prompt)

    @property
    def dispatches(self) -> int:
        """Dispatches of one token, logits included."""
        return 8 * self.layers + 4


FULL = Shape(
    layers=30,
    width=576,
    heads=9,
    key_heads=3,
    head_width=64,
    hidden=1536,
    vocabulary=49_152,
    context=192,
)
"""The sizes of a decoder of 135 million parameters."""
SMALL = Shape(
    layers=6,
    width=128,
    heads=4,
    key_heads=2,
    head_width=32,
    hidden=256,
    vocabulary=1024,
    context=48,
)
"""The same structure for software adapters."""


def random_weights(shape: Shape, seed: int = 0) -> dict[str, Floats]:
    """Weights by name, each matrix row by row, scaled so that activations keep their size."""
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> Floats:
        drawn = random.standard_normal((rows, columns), dtype=np.float32)
        drawn /= np.float32(columns**0.5)
        return drawn

    def gain() -> Floats:
        drawn = random.standard_normal(shape.width, dtype=np.float32)
        drawn /= 10
        drawn += 1
        return drawn

    weights = {"embedding": matrix(shape.vocabulary, shape.width), "last_norm": gain()}
    for layer in range(shape.layers):
        weights |= {
            f"{layer}.norm": gain(),
            f"{layer}.qkv": matrix(shape.query_width + 2 * shape.key_width, shape.width),
            f"{layer}.out": matrix(shape.width, shape.query_width),
            f"{layer}.mlp_norm": gain(),
            f"{layer}.gate_up": matrix(2 * shape.hidden, shape.width),
            f"{layer}.down": matrix(shape.width, shape.hidden),
        }
    return weights


def rotary_table(shape: Shape) -> Floats:
    """For each position, the cosines of the angles of all pairs in a head, then their sines.

    Two numbers that are rotated together are a pair.  The host computes the table, since WGSL does
    not say how exact the sine of a large angle is.
    """
    half = shape.head_width // 2
    speeds = _ROTARY_BASE ** (-np.arange(half) / half)
    angles = np.arange(shape.context)[:, None] * speeds
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def parameters(weights: Mapping[str, Floats]) -> int:
    """How many numbers the weights hold."""
    return sum(weight.size for weight in weights.values())


Doubles = npt.NDArray[np.float64]


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
    """Causal attention; the queries of a group share a key head."""
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
