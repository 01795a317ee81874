"""Odd ops: a refused one has no effect and may name any number of bytes, and a scalar is NaN."""

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Write
from gpusim.program import Program
from properties.explain.scene import Scene
from properties.explain.search import hypotheses
from properties.explain.vivid import vivid
from properties.explain.writers import stories
from properties.model.failure import Failure, FailureKind
from reference import run

HUGE = 1 << 40


def scene_of(text: str) -> Scene:
    program, limits = Program.parse(text), Limits()
    expected = run(program, BUILTIN, limits)
    return Scene(program=program, expected=expected, kernels=BUILTIN, limits=limits)


def test_a_refused_write_is_not_the_last_writer_of_a_byte() -> None:
    scene = scene_of("alloc a 4\nwrite a 0 01010101\nwrite a 2 02020202\nread a 0 4 -> r0\n")
    failure = Failure(kind=FailureKind.VALUE, position=3, op="read a 0 4 -> r0", reason="")
    told = stories(scene, failure, bytes([1, 1, 7, 7]))
    assert [(story.byte, story.writer) for story in told] == [(2, 1), (3, 1)]


@pytest.mark.parametrize(
    "op", ["write b 0 01010101", "copy a 0 b 0 4", "dispatch affine b 1,1 1x1x1"]
)
def test_hypotheses_need_no_memory_for_a_buffer_that_was_refused(op: str) -> None:
    scene = scene_of(f"alloc a 4\nalloc b {HUGE}\nwrite a 0 01010101\n{op}\nread a 0 4 -> r0\n")
    refused = [outcome.error for outcome in scene.expected.outcomes]
    assert refused == [None, "LimitExceeded", None, "InvalidHandle", None]
    found = [each for each in hypotheses(scene) if each.kind in ("cleared", "shared", "dirty")]
    assert {each.culprit for each in found} == {0}


@pytest.mark.parametrize(
    "op",
    [
        "write a 2147483654 02",
        "write a 2 02020202",
        f"copy a 0 a 4 {HUGE}",
        "dispatch affine a 3 1x1x1",
        "dispatch affine a 3,5,7 1x1x1",
        "alloc b 4\ndispatch blend a,b nan 1x1x1\ndispatch fold b,a 3 1x1x1",
    ],
)
def test_every_hypothesis_about_any_op_can_be_tried(op: str) -> None:
    scene = scene_of(f"alloc a 4\ndispatch affine a 1,1 1x1x1\n{op}\nread a 0 4 -> r0\n")
    tried = [scene.run(found.steps) for found in hypotheses(scene)]
    assert None not in tried


def test_a_huge_buffer_is_not_filled() -> None:
    program = Program.parse(f"alloc a 600\nalloc b {HUGE}\n")
    other = vivid(program, BUILTIN, fills=True, looks=False, seed=1)
    filled = [op.buffer for op in other.program if isinstance(op, Write)]
    assert filled == ["a", "a", "a"]
