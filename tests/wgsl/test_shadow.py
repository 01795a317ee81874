"""Shadow words and watches beside a plain comparison of all accesses, in any order of calls."""

from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest

from gpusim import Kernel
from gpusim.wgsl.checks import watches
from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE
from gpusim.wgsl.checks.shadow import GROUP_BITS, SITE_BITS, Shadow

pytestmark = pytest.mark.unit
ORDERED_PAIRS = ({READ}, {ATOMIC})
"""Kinds of accesses that never conflict with their own kind."""


def drawn(random: Random) -> list[tuple[str, list[int], list[int]]]:
    """Calls: how, the words and the lanes, each lane once."""
    calls = []
    for _ in range(random.randint(2, 6)):
        lanes = random.sample(range(12), random.randint(1, 4))
        how = random.choice((READ, READ, WRITE, ATOMIC))
        calls.append((how, [random.randrange(6) for _ in lanes], lanes))
    return calls


def racy(calls: list[tuple[str, list[int], list[int]]], size: int) -> set[int]:
    """The words that lanes of different workgroups of ``size`` lanes race on, pair by pair."""
    all_ = [
        (word, how, lane // size)
        for how, words, lanes in calls
        for word, lane in zip(words, lanes, strict=True)
    ]
    return {
        one[0]
        for one, other in combinations(all_, 2)
        if one[0] == other[0] and one[2] != other[2] and {one[1], other[1]} not in ORDERED_PAIRS
    }


@pytest.mark.parametrize("shift", [SITE_BITS, GROUP_BITS])
@pytest.mark.parametrize("seed", range(300))
def test_a_shadow_finds_each_word_that_is_raced_on(seed: int, shift: int) -> None:
    calls = drawn(Random(seed))
    shadow, found = Shadow(6, shift=shift), set()
    for how, words, lanes in calls:
        numbers = np.array(lanes, np.int32) + 1
        for clash in shadow.access(how, np.array(words), watches.tokens_of(numbers, 4)):
            found |= {*clash.words.tolist()}
    assert found == racy(calls, 1 if shift == SITE_BITS else 4), calls


def test_what_is_forgotten_races_with_nothing() -> None:
    shadow = Shadow(4)
    one, other = (watches.tokens_of(np.array([lane], np.int32), 4) for lane in (1, 2))
    shadow.access(WRITE, np.array([1]), one)
    shadow.access(WRITE, np.array([2]), one)
    shadow.forget(np.array([1]))
    assert not shadow.access(WRITE, np.array([1]), other)
    assert shadow.access(READ, np.array([2]), other)


FAR = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read> z: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    x[z[id.x]] = x[z[id.x]] + 1u;
}
"""


def reports(z: Any) -> Any:
    return Kernel.from_wgsl(FAR).check([4 * len(z), z], grid=len(z) // 64)


def test_invocations_of_different_blocks_are_compared() -> None:
    z = np.arange(200_000 // 64 * 64, dtype=np.uint32)
    assert reports(z) == ()
    z[-1] = 3
    found = reports(z)
    assert {each.kind for each in found} == {"race"}
    assert all({act.invocation[0] for act in each.acts} == {3, len(z) - 1} for each in found)


def test_a_long_log_is_compared_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "MOST_LOGGED", 1000)
    z = np.arange(64 * 400, dtype=np.uint32)
    assert reports(z) == ()
    z[20_000] = 3
    assert {each.kind for each in reports(z)} == {"race"}


LOOPS = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> s: array<u32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) l: u32,
        @builtin(workgroup_id) w: vec3u) {
    s[l] = x[id.x];
    for (var k = 0u; k < w.x + 1u; k++) {
        workgroupBarrier();
        let other = s[(l + 1u) % 64u];
        workgroupBarrier();
        s[l] = other;
    }
    x[id.x] = s[l];
}
"""


def test_workgroups_may_come_to_barriers_differently_often() -> None:
    assert Kernel.from_wgsl(LOOPS).check([4 * 64 * 3], grid=3) == ()
    mistaken = LOOPS.replace(
        "        workgroupBarrier();\n        s[l] = other", "        s[l] = other"
    )
    (report,) = Kernel.from_wgsl(mistaken).check([4 * 64 * 3], grid=3)
    assert report.kind == "race"
    assert [place.line for place in report.places] == [10, 11]
