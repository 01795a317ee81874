"""How large a decoder is, and its random weights.  Data only."""

from collections.abc import Mapping
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
        """Tokens to start from, any that differ."""
        return [(7 * n + 1) % self.vocabulary for n in range(self.context // 3)]

    @property
    def new_tokens(self) -> int:
        """Tokens that the cache has room for after the prompt."""
        return self.context - len(self.prompt)

    @property
    def dispatches(self) -> int:
        """Dispatches of one token whose logits are asked for."""
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
"""The same structure for adapters that are made of software."""


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
    """Cosines, then sines, of each position and each pair of a head.

    Made on the host, since WGSL leaves open how exact the sine of a large angle is.
    """
    half = shape.head_width // 2
    speeds = _ROTARY_BASE ** (-np.arange(half) / half)
    angles = np.arange(shape.context)[:, None] * speeds
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def parameters(weights: Mapping[str, Floats]) -> int:
    """How many numbers the weights hold."""
    return sum(weight.size for weight in weights.values())
