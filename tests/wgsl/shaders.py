"""Runs shaders for the tests: words in, words out."""

from typing import Any

import numpy as np

from gpusim.wgsl import compile_module

LANES = 64
WORDS = [(number * 2654435761 + 12345) % 2**32 for number in range(LANES)]
_HEAD = """
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> o: array<u32>;
"""


def shader(body: str, declarations: str = "", size: int = 16) -> str:
    """A shader of one dimension; ``i`` is the number of the invocation, and ``l`` in its group."""
    return (
        f"{_HEAD}{declarations}\n@compute @workgroup_size({size})\n"
        "fn main(@builtin(global_invocation_id) g: vec3u, @builtin(local_invocation_index) l: u32,"
        " @builtin(workgroup_id) w: vec3u) {\n"
        f"let i = g.x;\n{body}\n}}\n"
    )


def outcome(text: str, words: list[int] = WORDS, grid: tuple[int, int, int] = (4, 1, 1)) -> Any:
    """The words that a shader leaves in ``o``, which begins as zeros."""
    source = np.array(words, np.uint32)
    target = np.zeros(LANES, np.uint32)
    entry = compile_module(text).entry("main")
    entry.bind([source.view(np.uint8), target.view(np.uint8)][-len(entry.point.bindings) :])(*grid)
    return target.tolist()
