"""Mistakes whose program shows one of many cases, and the other cases that were tried for it."""

from tests.explain.reasons import Told

BY_TRIAL = (
    Told(
        name="fault_swallowed",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="device: simulated failed_submits=0\npolicy: eager\n",
        says=(
            "if a submit fails in a dispatch or a flush or a sync, nobody raises a fault; if it "
            "fails in a read, a fault is raised",
        ),
    ),
    Told(
        name="failed_batch_kept",
        program="alloc a 4\ncopy a 0 a 0 4\n",
        headers="device: simulated failed_submits=0\npolicy: eager\n",
        says=(
            "in the batch of call 3 (reason: commands; its only command), whose submit failed",
            "if a submit fails, its batch is lost, and must not run later",
            "these run again: the first copy and the second copy, not the dispatch",
        ),
    ),
    Told(
        name="large_staging_shared",
        program="alloc a 4100\nread a 0 4100 -> r0\nread a 0 4100 -> r1\n",
        headers="policy: eager\n",
        says=(
            "those of 4100 bytes go to staging buffers 3, 3, 3 (all with wrong bytes); those of "
            "4096 or 4 bytes go to staging buffers 3, 4, 5",
        ),
    ),
    Told(
        name="reads_kept_for_ever",
        program="alloc a 0\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=(
            "something is left after a read of no bytes or a read (after two reads, each with a "
            "sync, the first is kept too); nothing after a write, a dispatch, ",
        ),
    ),
    Told(
        name="shape_key_lacks_kernel",
        program="alloc a 4\ndispatch affine a 1,1 2x1x1\ncapture g0 dispatch affine a 1,1 2x1x1\n",
        headers="policy: eager\n",
        says=(
            "tried after a dispatch: another kernel over that grid: shapes created is 1, not 2; ",
            "another x of the grid or another y or another z: right",
        ),
    ),
    Told(
        name="staging_miss_not_counted",
        program="alloc a 260\ndispatch affine a 1,1 1x1x1\nread a 0 260 -> r0\n",
        headers="policy: pooled debug_submit_each=True\n",
        says=(
            "with a free buffer of 256 bytes, too small, in the pool: staging exhausted is 1, not",
            "with an empty pool or with a buffer of 256 bytes in use",
        ),
    ),
    Told(
        name="dispatch_lost_at_exhaustion",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None uniforms=ring uniform_ring_bytes=1\n",
        says=(
            "op 2 (dispatch affine a 1,1 1x1x1) ran over no groups, as if it was lost",
            "op 2 found the uniforms full, so it first submitted the commands before it",
            "tried over 12 groups, op 2 ran over none",
        ),
    ),
    Told(
        name="slot_written_once",
        program="alloc a 4\ndispatch affine a 2,1 1x1x1\nwrite a 0 01010101\n"
        "dispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: pooled\n",
        says=(
            "with the scalars 2, 3 and then 4, 5: they ran with 2, 3 and then 2, 3; so each ran "
            "with the payload of the same position in the first batch",
        ),
    ),
    Told(
        name="two_streams_one_encoder",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None staged_write_bytes=4096\n",
        says=("copies 1, 2, 3, 4, 5 -> copies 1, 3, 5, 2, 4",),
    ),
    Told(
        name="ring_wraps_over_pending",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n"
        "dispatch many a 1,1,1,1,1,1,1,1,1,1,1,1 1x1x1\n",
        headers="device: simulated uniform_offset_alignment_bytes=32\n"
        "policy: eager batch_commands=None uniforms=ring uniform_ring_bytes=1\n",
        says=(
            "they ran with 3, 3 and then 5, 5; so in each batch the second wrote over the payload "
            "of the first",
        ),
    ),
    Told(
        name="plan_survives_free",
        program="alloc a 4\nwrite a 0 00000000\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\n",
        headers="policy: ring\nclient: sharing\n",
        says=(
            "wrongly accepted the second time: a dispatch that writes it, a dispatch that reads it",
        ),
    ),
    Told(
        name="pad_loses_data",
        program="alloc a 1\nwrite a 0 01\nread a 0 1 -> r0\n",
        headers="policy: eager\n",
        says=(
            "those of 1, 2, 3, 5, 6, 7 bytes are wrong, and all their bytes are zero; those of 4, "
            "8 bytes are right",
        ),
    ),
    Told(
        name="uniform_index_reset_early",
        program="alloc a 4\n" + "dispatch affine a 1,1 1x1x1\n" * 3 + "write a 0 01\n",
        headers="policy: pooled uniform_slots=3\n",
        says=("with uniform_slots=1: they ran with 3, 3 and then 5, 5; so in each batch the",),
    ),
    Told(
        name="cached_uniform_rewritten",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch tally a 1 1x1x1; "
        "dispatch affine a 1,2 1x1x1\nreplay g0 2,2;2;_ -\nread a 0 4 -> r0\n"
        "dispatch affine a 1,1 1x1x1\n",
        headers="policy: cached join_reads=True uniform_cache=3\n",
        says=("with uniform_cache=1: they ran with 3, 3 and then 4, 5; so in the first batch the",),
    ),
    Told(
        name="copy_to_nowhere",
        program="alloc c 16\nwrite c 0 bff007e8bef3152ffe5ff5d96aa4f2f3\n",
        headers="policy: eager\nclient: misusing\n",
        says=("of ops on a freed buffer, each tried alone, accepted: a copy from it; refused",),
    ),
)
