"""A run with what WGSL leaves open decided otherwise differs where, and only where, it is open."""

import numpy as np
import pytest

from gpusim.wgsl import compile_module
from tests.wgsl.shaders import LANES, WORDS, shader

pytestmark = pytest.mark.unit

OPEN = [
    ("invocations that write the same word", "o[0] = a[i];", [0]),
    ("a race between two that read and write", "o[0] = o[0] * 3u + 1u;", [0]),
    ("a read past the end", "o[i] = a[i + 60u];", [*range(4, LANES)]),
    ("a write past the end", "o[i * 2u] = a[i];", [63]),
    ("a read of what another writes", "o[i] = i + 1u; o[i] = o[(i + 1u) % 64u];", None),
]
SPECIFIED = [
    ("each its own word", "o[i] = a[i] * 3u;"),
    ("one writes", "if (i == 5u) { o[0] = a[i]; }"),
    ("a sum by atomics", "atomicAdd(&c[i % 4u], a[i]);"),
    ("loops of different lengths", "for (var j = 0u; j < (a[i] & 7u); j++) { o[i] += j * a[j]; }"),
    ("a barrier between", "s[l] = a[i]; workgroupBarrier(); o[i] = s[15u - l];"),
]


def differing(body: str) -> list[int]:
    declarations = "var<workgroup> s: array<u32, 16>;"
    text = shader(body, declarations)
    if "atomic" in body:
        text = text.replace("o: array<u32>", "c: array<atomic<u32>>")
    entry = compile_module(text).entry("main")
    outcomes = []
    for varied in (False, True):
        source, target = np.array(WORDS, np.uint32), np.arange(LANES, dtype=np.uint32)
        arrays = [source.view(np.uint8), target.view(np.uint8)][-len(entry.point.bindings) :]
        entry.bind(arrays, varied=varied)(4, 1, 1)
        outcomes.append(target)
    return np.flatnonzero(outcomes[0] != outcomes[1]).tolist()


@pytest.mark.parametrize(("name", "body", "words"), OPEN, ids=[case[0] for case in OPEN])
def test_what_is_open_differs(name: str, body: str, words: list[int] | None) -> None:
    found = differing(body)
    assert found if words is None else found == words


@pytest.mark.parametrize(("name", "body"), SPECIFIED, ids=[case[0] for case in SPECIFIED])
def test_what_is_specified_does_not(name: str, body: str) -> None:
    assert differing(body) == []
