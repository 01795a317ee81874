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
    ("who comes when", "if (i < 63u) { o[i] = atomicAdd(&k, 1u); }", [*range(63)]),
    ("who comes when of three", "if (i < 3u) { o[i] = atomicAdd(&t[0], 5u); }", [0, 1, 2]),
    ("who is first", "let e = atomicCompareExchangeWeak(&t[0], 0u, i); o[i] = e.old_value;", None),
    ("a read of what another writes", "o[i] = i + 1u; o[i] = o[(i + 1u) % 64u];", None),
]
SPECIFIED = [
    ("each its own word", "o[i] = a[i] * 3u;"),
    ("one writes", "if (i == 5u) { o[0] = a[i]; }"),
    ("a sum by atomics", "atomicAdd(&c[i % 4u], a[i]);"),
    ("loops of different lengths", "for (var j = 0u; j < (a[i] & 7u); j++) { o[i] += j * a[j]; }"),
    ("atomics of one's own", "o[i] = atomicAdd(&t[l], i) + atomicMax(&t[l], 9u);"),
    ("an atomic of one", "if (l == 5u) { o[i] = atomicExchange(&k, i); }"),
    ("how many there are", "atomicMax(&k, atomicAdd(&t[0], 1u)); workgroupBarrier(); o[i] = k_();"),
    ("atomics that change nothing", "o[i] = atomicAdd(&t[1], 0u) + atomicOr(&k, 0u);"),
    ("a barrier between", "s[l] = a[i]; workgroupBarrier(); o[i] = s[15u - l];"),
]


def differing(body: str) -> list[int]:
    declarations = (
        "var<workgroup> s: array<u32, 16>; var<workgroup> k: atomic<u32>; "
        "var<workgroup> t: array<atomic<u32>, 16>; fn k_() -> u32 { return atomicLoad(&k); }"
    )
    text = shader(body, declarations)
    if "&c[" in body:
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


@pytest.mark.parametrize("index", ["1u", "i"])
def test_a_read_past_the_end_of_a_single_word_differs(index: str) -> None:
    run = compile_module(shader(f"o[i] = a[{index}];")).entry("main")
    outcomes = []
    for varied in (False, True):
        source, target = np.array([7], np.uint32), np.zeros(16, np.uint32)
        run.bind([source.view(np.uint8), target.view(np.uint8)], varied=varied)(1, 1, 1)
        outcomes.append(target)
    assert np.flatnonzero(outcomes[0] != outcomes[1]).tolist() == [*range(index == "i", 16)]
