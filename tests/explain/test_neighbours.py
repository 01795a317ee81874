"""Neighbours: programs next to a failing one tell which of some like mistakes it was."""

from pathlib import Path

import pytest

from tests.explain.reasons import Told
from tests.explain.test_reasons import argument_of

_DISPATCH = "dispatch affine a 1,1 1x1x1\n"
TOLD = (
    Told(
        name="write_flushes_long_batches_only",
        program=f"alloc a 4\n{_DISPATCH}write a 0 01010101\nread a 0 4 -> r0\n",
        headers="policy: lazy\n",
        says=("passes: with op 1 twice; with a flush before op 2",),
    ),
    Told(
        name="upload_keeps_first",
        program="alloc a 12\nalloc b 4\ndispatch_indirect affine b 1,1 a 0\n"
        f"write a 0 {'01' * 12}\ndispatch_indirect affine b 1,1 a 0\nwrite a 0 {'02' * 12}\n"
        "read a 0 4 -> r0\n",
        headers="policy: ring uniform_ring_bytes=1\n",
        says=(
            "wrote the bytes of op 3, and not its own",
            "with op 3 or op 5 shortened from 12 to 8 bytes (with both shortened it fails)",
        ),
    ),
    Told(
        name="part_touches_its_start",
        program=f"alloc a 4\nalloc b 16\n{_DISPATCH.replace(' a ', ' b ')}"
        "dispatch_indirect affine a 1,1 b 4\nwrite b 12 01010101\nread a 0 4 -> r0\n",
        headers="policy: ring uniform_ring_bytes=1\n",
        says=(
            "with op 4 at byte 0, 4, 8 of b (fails at 12; the write is held back at 0, 4, 8; "
            "dispatches use bytes 4 to 15)",
        ),
    ),
    Told(
        name="copy_not_written",
        program="alloc a 8\nwrite a 0 01010101\ncopy a 0 a 4 4\nwrite a 0 01010101\n"
        "read a 4 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: lazy\n",
        says=(
            "passes: with a dispatch over a in place of op 2",
            "not with a flush in place of op 3",
        ),
    ),
    Told(
        name="replay_heals_what_it_writes",
        program=f"alloc a 4\ncapture g0 copy a 0 a 0 4; {_DISPATCH}replay g0 * -\n"
        "write a 0 01010101\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: lazy\n",
        says=("passes: with a graph that only reads a in place of op 4",),
    ),
    Told(
        name="replay_keeps_old_bindings",
        program="alloc a 4\nalloc b 4\ncapture g0 copy a 0 b 0 4\nreplay g0 * a=b,b=a\n"
        "write b 0 01010101\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "plainly, then with x=y: the second copies x",
            "with x=y, then with x=w: the second copies y",
        ),
    ),
    Told(
        name="ring_write_cut",
        program=f"alloc a 4\n{_DISPATCH * 9}read a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=("is at byte 2048 of uniform buffer 2, and no call wrote it", "wrote bytes 0 to 2047"),
    ),
    Told(
        name="AsTheyArrive",
        is_foreign=True,
        program="alloc a 12\nwrite a 0 01010101\nread a 0 12 -> r0\n",
        headers="promises: webgpu orders_deliveries=no\ndisturbance: seed=0\n",
        says=("the runtime relies on the order in which maps settle: op 2 (read a 0 12 -> r0)",),
    ),
    Told(
        name="shape_of_a_read_lost",
        program="alloc c 160\nalloc z 161\n",
        headers="policy: eager\nclient: misusing\n",
        says=('at.runtime.read(at.x, dtype="u4", shape=(2.0, 2)) gave ndarray of shape (40,)',),
    ),
)


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.name)
def test_a_neighbour_tells_like_mistakes_apart(told: Told, tmp_path: Path) -> None:
    text = "\n".join(argument_of(told, tmp_path).lines)
    assert [said for said in told.says if said not in text] == [], text
