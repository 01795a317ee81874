"""Headlines follow the call that a law accuses, and the clocks of the ops, not the bytes alone."""

from pathlib import Path

import pytest

from tests.explain.reasons import Told
from tests.explain.test_reasons import argument_of

TOLD = (
    Told(
        name="shape_cache_disposes_held",
        program="alloc a 260\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x2\n"
        "dispatch affine a 1,1 1x2x1\nread a 256 4 -> r0\n",
        headers="policy: eager shape_cache=2\n",
        says=(
            "op 3 (dispatch affine a 1,1 1x2x1) was dispatched over 1x1x1 groups, the grid of "
            "op 1, and asks for 1x2x1 groups",
        ),
    ),
    Told(
        name="numbers_wrap_around",
        program="alloc a 4\nwrite a 0 01010101\nalloc b 0\nalloc c 0\nalloc d 0\nalloc e 0\n"
        "alloc f 0\nalloc g 0\nalloc h 0\nalloc i 0\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("the copy for op 10 (read a 0 4 -> r0) was made from i, and not from a",),
    ),
    Told(
        name="inputs_found_by_size",
        program="alloc a 4\ncopy a 0 a 0 1\ncopy a 0 a 0 1\n",
        headers="policy: cached\n",
        says=(
            "the copy for op 2 (copy a 0 a 0 1) was made from buffer 2, which op 1 made, and not "
            "from buffer 5, which op 2 made",
        ),
    ),
    Told(
        name="run_repeats_step_at_cut",
        program="alloc a 64\nwrite a 0 0300000002000000030000000200000003000000020000000300000003"
        "000000\nalloc c 32\nalloc f 64\n"
        "capture g4 copy a 0 f 0 64; dispatch_indirect fold f,c 119 a 12; "
        "dispatch_indirect fold c,f 131 a 20\nreplay g4 * -\nread f 0 8 -> r0\n",
        headers="device: simulated uniform_offset_alignment_bytes=32\npolicy: ring "
        "batch_commands=None batch_groups=None first_batch=None uniform_slots=1 "
        "uniform_ring_bytes=1\n",
        says=(
            "command 2 of op 5 (dispatch_indirect fold c,f 131 a 20) was given the call of "
            "command 1 of op 5",
        ),
    ),
    Told(
        name="part_touches_its_start",
        program="alloc a 4\nalloc b 16\ndispatch affine b 1,1 1x1x1\n"
        "dispatch_indirect affine a 1,1 b 4\nwrite b 12 01010101\nread a 0 4 -> r0\n",
        headers="policy: ring uniform_ring_bytes=1\n",
        says=("op 4 (write b 12 01010101) overtook op 3 (dispatch_indirect affine a 1,1 b 4)",),
    ),
    Told(
        name="very_long_write_cut",
        program=f"alloc b 262148\nwrite b 0 {'01' * 262148}\nread b 0 262148 -> r4\n",
        headers="policy: eager\n",
        says=("lost what is past its first 256 KiB (262144 bytes)",),
    ),
    Told(
        name="uploads_share_one_place",
        program="alloc a 4\nalloc b 4\ndispatch affine a 1,1 1x1x1\ndispatch affine b 1,1 1x1x1\n"
        "write a 0 01010101\nwrite b 0 02020202\nread a 0 4 -> r0\nread b 0 4 -> r1\n",
        headers="policy: ring\n",
        says=("op 5 (write b 0 02020202) wrote the bytes of op 4, and not its own",),
    ),
)
"""Each shows bytes that another mistake explains as well."""


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.name)
def test_the_headline_says_what_the_calls_show(told: Told, tmp_path: Path) -> None:
    first, *_ = lines = argument_of(told, tmp_path).lines
    assert [said for said in told.says if said not in first] == [], lines
