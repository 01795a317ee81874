"""Mistakes whose reason is tried, or is lost on the way, and words that their arguments must say.

A trial is a program that is made for the question.  The runtimes of others have no trace.
"""

from tests.explain.reasons import Told

COLUMNS = "090000000a0000000b0000000c0000000d0000000e0000000f00000010000000"
"""Words of which the mutating client makes an array in Fortran's order."""
TRIALS = (
    Told(
        name="part_to_the_end",
        program="alloc a 8\ndispatch affine a[0:4] 1,1 1x1x1\nread a 4 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "op 1 (dispatch affine a[0:4] 1,1 1x1x1) was given a part up to the end of its buffer",
        ),
    ),
    Told(
        name="free_flushes_dispatches_only",
        program="alloc a 4\ncopy a 0 a 0 4\nfree a\n",
        headers="policy: lazy\n",
        says=("right is a free after a read of it, a dispatch that writes it, a dispatch and",),
    ),
    Told(
        name="bind_group_of_oldest_at_capacity",
        program="alloc a 8\nalloc b 4\ndispatch affine b 1,1 1x1x1\ndispatch scramble a - 1x1x1\n"
        "copy a 1 a 0 4\ndispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: cached bind_group_cache=3\n",
        says=(
            "op 5 made bind group 9 (call 11), and was not given it: its dispatch has group 4",
            "the full cache gave up another group in op 5; group 4 was the oldest of the 3 that",
        ),
    ),
    Told(
        name="last_group_dropped",
        program="alloc a 4\ndispatch tally a 1 17x1x1\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("16x1x1 runs 16, 17x1x1 runs 16, 18x1x1 runs 17, 34x1x1 runs 33, 1x17x1 runs 17",),
    ),
    Told(
        name="healed_by_words",
        program="alloc a 8\nalloc b 5\ncapture g0 dispatch affine b 1,1 1x1x1; dispatch affine a "
        "1,1 1x1x1; dispatch affine a 1,1 1x1x1; copy a 0 b 0 5; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\nwrite b 0 01010101\nread b 1 4 -> r0\n",
        headers="device: simulated failed_submits=4\npolicy: eager\n",
        says=(
            "op 5 (read b 1 4 -> r0) used b, which is lost since op 3 (replay g0 * -) failed half",
            "so op 4 made b count as whole again; b has 5 bytes: a write of its first 4 does so, "
            "one of its first 1 does not",
        ),
    ),
    Told(
        name="upload_keeps_first",
        program="alloc a 32\n"
        + "".join(f"read a 0 0 -> r{n}\n" for n in range(4))
        + f"read a 0 4 -> r4\nwrite a 0 {'01' * 32}\n",
        headers="policy: ring flush_on_conflict=False\nclient: reentrant\n",
        says=("the second goes wrong if it stages as many bytes as the first or as many, for",),
    ),
    Told(
        name="uploads_share_one_place",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\n"
        "write a 0 02020202\nread a 0 4 -> r0\n",
        headers="policy: lazy staged_write_bytes=4096\n",
        says=("their copies begin at bytes 0, 0, 0 of the upload buffer; due are 0, 4, 12",),
    ),
    Told(
        name="full_encoder_loses_one",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\n"
        + "write a 0 01010101\n" * 3
        + "read a 0 4 -> r0\n"
        + "write a 0 01010101\n" * 3
        + "write a 0 0101010101\n" * 16
        + "read a 0 4 -> r1\n",
        headers="policy: ring\n",
        says=(
            "of 40 commands all are right; of 41 commands number 41 has no effect; of 82 commands "
            "number 41 has no effect",
        ),
    ),
    Told(
        name="piece_taken_twice",
        program="alloc a 256\ncopy a 0 a 0 253\n",
        headers="device: simulated max_binding_bytes=512\npolicy: eager\n",
        says=("in 2 pieces, in bytes: 252 from byte 0, to byte 0; 1 from byte 0, to byte",),
    ),
    Told(
        name="wide_grid_cut",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: eager\n",
        says=(
            "tried another program: op 1 (dispatch tally x 1 65537x1x1) ran over a grid that was "
            "cut to the limit: 65535 groups and not 65537",
        ),
    ),
    Told(
        name="shape_key_lacks_depth",
        program="alloc a 4\ncapture g dispatch affine a 1,1 5x1x1\ndispatch affine a 1,1 5x1x1\n",
        headers="policy: eager\n",
        says=("op 4 (dispatch tally x 4 2x3x2) ran over the grid of op 3: 6 groups and not 12",),
    ),
    Told(
        name="zero_grid_not_checked",
        program="alloc a 4\ndispatch affine a 1,1 1x0x1\n",
        headers="policy: eager\n",
        says=("op 1 (dispatch affine x 3,1 0x65537x1) was accepted, but must be refused with",),
    ),
    Told(
        name="replay_keeps_old_scalars",
        program="capture g0 -\nreplay g0 * -\n",
        headers="policy: eager\n",
        says=(
            "op 2 (close) ended with LeftBehind: <graph of 0 calls> is kept",
            "tried another program: command 0 of op 3 (dispatch affine x 7,4 1x1x1) ran with the "
            "scalars of command 0 of op 2 (5,2), and not its own",
        ),
    ),
    Told(
        name="bad_dispatch_leaves_pass_open",
        program="alloc a 0\ndispatch count a[1296:1316] 145,29 1x1x1\n",
        headers="policy: eager\nclient: misusing\n",
        says=(
            "op 4, a refused dispatch, loses nothing by itself; but a dispatch right after it "
            "makes the runtime lose all that is recorded and not submitted",
            "neither of the two before it has an effect, the one after it has its effect",
            "with nothing or a flush or a copy instead of the one after, the two before have their",
        ),
    ),
    Told(
        name="FailedPoisons",
        is_foreign=True,
        program="alloc a 4\nread a 0 4 -> r0\nsync\nwrite a 0 01010101\n",
        headers="promises: webgpu orders_deliveries=no survives_failed_maps=yes\n"
        "device: simulated\ndisturbance: seed=0 failed_maps=0\n",
        says=(
            "raised the error that op 1 (read a 0 4 -> r0) had raised already: the planned fault",
            "tried op 3 twice: the first alone raises it, so it was kept for one more call",
        ),
    ),
    Told(
        name="empty_read_delivered_early",
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 0 -> r1\n",
        headers="policy: eager\n",
        says=("r1 was delivered by its own call (read a 0 0 -> r1), and not by a sync, while r0",),
    ),
    Told(
        name="uploads_of_the_class",
        program="alloc a 8\n"
        "write a 0 -\n"
        "alloc b 4\n"
        "write b 0 -\n"
        "flush\n"
        "write b 0 -\n"
        "dispatch affine b 1,1 1x1x1\n"
        "write b 0 01010101\n"
        "read b 0 0 -> r0\n"
        "read b 0 0 -> r1\n"
        "flush\n"
        "dispatch affine a 1,1 1x1x1\n"
        "write a 0 04bbb497f8d3ece8\n"
        "read b 0 0 -> r2\n"
        "write b 0 -\n"
        "read a 0 0 -> r3\n"
        "read a 0 4 -> r4\n",
        headers="policy: lazy staged_write_bytes=4096\nclient: beside\n",
        says=(
            "the bytes of the write went to upload buffer 9 of the runtime of the program itself",
            "of the two runtimes, the runtime beside was made last",
        ),
    ),
    Told(
        name="sync_with_nothing_to_submit_returns",
        program="alloc a 4\nwrite a 0 01010101\nsync\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=(
            "if a write and a sync come before, a sync returns too early after a read that was",
            "no sync returns too early after a read not submitted yet or a submitted read and a",
        ),
    ),
    Told(
        name="long_read_on_a_short_page",
        program="alloc a 1048580\nread a 0 1048580 -> r0\n",
        headers="policy: eager batch_commands=None join_reads=True\n",
        says=(
            "op 1 made staging buffer 2 of 1048576 bytes (call 2), and its read takes 1048580",
            "it fails with join_reads=False as well",
        ),
    ),
    Told(
        name="early_batches_halved",
        program="alloc a 4\nread a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None join_reads=True\n",
        says=(
            "with first_batch=None: 1 2 4 before the sync, 1 2 4 after (due none)",
            "with first_batch=4: 2 4 before the sync, 2 4 after (due 4 and 4)",
        ),
    ),
    Told(
        name="early_batches_stay_long",
        program="alloc a 4\nread a 0 4 -> r0\nsync\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: lazy first_batch=1 join_reads=True\n",
        says=("with first_batch=4: 4 before the sync, 8 after (due 4 and 4)",),
    ),
    Told(
        name="deferred_free_forgotten",
        program="alloc a 4\nread a 0 4 -> r0\nfree a\n",
        headers="policy: eager batch_commands=None defer_frees=True join_reads=True\n",
        says=("are destroyed, x in op 6 (free y), y in op 8 (free z), z never; all are due after",),
    ),
    Told(
        name="part_touches_its_start",
        program="alloc a 228\ndispatch affine a[224:228] 1,1 1x1x1\nwrite a 224 01010101\n"
        "read a 224 4 -> r0\n",
        headers="device: simulated storage_offset_alignment_bytes=32\npolicy: ring\n",
        says=("(fails at 224; the write is held back at 0; dispatches use bytes 224 to 227)",),
    ),
    Told(
        name="OldestRecycled",
        is_foreign=True,
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\nread a 0 4 -> r2\n",
        headers="promises: webgpu orders_deliveries=no\ndisturbance: seed=0\n",
        says=(
            "relies on the order in which maps settle: the last sync ended with GPUValidationError",
            "passes if maps settle in the order of their calls",
            "a staging buffer was used again before its own map had settled",
        ),
    ),
    Told(
        name="rollback_forgets_loss",
        program="alloc a 4\nalloc c 4\nwrite c 0 07000000\n"
        "capture g0 copy c 0 a 0 4; dispatch affine c 5,6 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "flush\nreplay g0 * -\ndispatch mix c,c,a 2,3 1x1x1\nread a 0 4 -> r0\n",
        headers="device: simulated out_of_memory=3 failed_submits=0\npolicy: lazy\n",
        says=(
            "op 7 (dispatch mix c,c,a 2,3 1x1x1) used a, which was lost with the batch of op 4",
            "op 6 (replay g0 * -) was to write the lost buffer whole, but raised OutOfMemory",
        ),
    ),
    Told(
        name="middle_page_lost",
        program="alloc a 4100\nwrite a 4088 010101010101010101010101\nread a 4092 4 -> r0\n",
        headers="policy: eager\n",
        says=("lost bytes 4092 to 4095 (up to byte 4096 = 4 KiB) of a; the rest of its 12 bytes",),
    ),
    Told(
        name="encoded_batch_reused",
        program="alloc a 4\nread a 0 4 -> r0\nsync\nread a 0 4 -> r1\n",
        headers="policy: pooled\n",
        says=("has the same commands as that of call 3 (op 1 (read a 0 4 -> r0))",),
    ),
    Told(
        name="view_counted_in_elements",
        program="alloc f 76\nwrite f 64 010101010101010101010101\nread f 64 4 -> r1\n",
        headers="policy: eager\nclient: mutating\n",
        says=("took its bytes as if an element were a byte; they were passed as a memoryview of",),
    ),
    Told(
        name="written_as_floats",
        program="alloc a 4\nwrite a 0 7ab8bb7f\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("went through floats on its way: a signalling NaN became a quiet one",),
    ),
    Told(
        name="budget_frees_twice",
        program="alloc a 4\nalloc b 4\nfree b\nread b 0 0 -> r0\n",
        headers="policy: eager\n",
        says=(
            "op 3 was refused with InvalidHandle, and no count may include a refused op",
            "live_bytes is 8, not 12; after two refused reads of x: live_bytes is 4, not 12; with",
        ),
    ),
    Told(
        name="span_of_last_copy",
        program="alloc a 8\ncopy a 4 a 0 4\nwrite a 4 01010101\nread a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=(
            "a write to a buffer overtakes the first of two copies to it, a dispatch before a copy "
            "to it, a copy within a buffer, but not",
        ),
    ),
    Told(
        name="part_touches_its_start",
        program="alloc a 512\ndispatch affine a[256:320] 3,1 1x1x1\nwrite a 256 02000000\n"
        "read a 256 4 -> r0\n",
        headers="policy: ring\n",
        says=("overtakes a dispatch over a part, the grid of an indirect dispatch, but not",),
    ),
    Told(
        name="staging_evicts_unread",
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\nread a 0 4 -> r2\n",
        headers="policy: eager\n",
        says=(
            "op 3 (read a 0 4 -> r2) destroyed staging buffer 2, which op 1 (read a 0 4 -> r0) had "
            "made, while its map was under way; there were 2 staging buffers, with staging_buffers",
        ),
    ),
    Told(
        name="run_aligned_as_storage",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\n",
        headers="device: simulated storage_offset_alignment_bytes=32\npolicy: ring\n",
        says=(
            "32 is its storage_offset_alignment_bytes, 256 is its uniform_offset_alignment_bytes",
        ),
    ),
    Told(
        name="peak_stays_low",
        program="alloc a 4\n",
        headers="policy: eager\n",
        says=("passes: with a free after op 0",),
    ),
    Told(
        name="empty_submit_not_counted",
        program="alloc a 4\nwrite a 0 01010101\nflush\n",
        headers="policy: lazy\n",
        says=("passes: with a dispatch before op 2",),
    ),
    Told(
        name="part_of_a_run_found_by_its_start",
        program="alloc c 4\nread c 0 4 -> r1\nread c 0 4 -> r2\n"
        "capture g1 dispatch affine c 1,1 1x1x1; dispatch affine c 2,3 1x1x1\nreplay g1 * -\n"
        "flush\nreplay g1 * -\nread c 0 4 -> r5\n",
        headers="policy: cached batch_commands=3 join_reads=True uniforms=ring\n",
        says=(
            "command 1 of op 6 (dispatch affine c 2,3 1x1x1) had no effect",
            "op 4 was cut between its commands 0 and 1, which are in the submits of calls",
            "with the uniforms of both at one offset, it goes wrong if the first or the second is "
            "cut; at two offsets, nothing goes wrong; likeliest a part of one is found by its "
            "start and offset, whatever its end",
        ),
    ),
    Told(
        name="ring_not_rewritten_when_alike",
        program="alloc a 12\nwrite a 0 01010101\ncopy a 0 a 1 4\ncopy a 0 a 1 8\n"
        "read a 4 4 -> r0\n",
        headers="policy: eager uniforms=ring\n",
        says=(
            "the uniforms of op 3 (copy a 0 a 1 8) were not written",
            "call 20 ran with the payload of op 2 (copy a 0 a 1 4), ",
        ),
    ),
    Told(
        name="lost_until_written",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\nwrite a 0 01\nwrite a 0 01010101\n"
        "read a 4 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: ring uniform_ring_bytes=40\n",
        says=(
            "op 4 (read a 4 4 -> r0) used a, which was lost with the batch of op 1",
            "without op 3 (write a 0 01010101), which writes a part of a, it passes",
        ),
    ),
    Told(
        name="AsTheyArrive",
        is_foreign=True,
        program="alloc a 12\nwrite a 0 01010101\nread a 0 12 -> r0\n",
        headers="promises: webgpu orders_deliveries=no\ndisturbance: seed=7\n",
        says=(
            "relies on the order in which maps settle: op 2 (read a 0 12 -> r0) returned",
            "of two parts of one read, are taken in the order in which they arrive",
        ),
    ),
    Told(
        name="numbers_wrap_around",
        program="alloc a 4\nwrite a 0 01010101\n"
        + "".join(f"alloc {name} 0\n" for name in "bcdefghi")
        + "read a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("in the order of the allocs, i is buffer 9 and a is buffer 1: 8 apart",),
    ),
    Told(
        name="Counted",
        is_foreign=True,
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="promises: webgpu orders_deliveries=no\n",
        says=(
            "relies on the order in which maps settle: the last sync ended with RuntimeError",
            "so op 2 (read a 0 4 -> r1) ended with AssertionError",
            "it passes 0 of 46 times; if a sync waited for the last map alone, it would pass 1 in ",
            "likeliest each map that settles, or a count of them, is taken for the map of the "
            "oldest read",
        ),
    ),
    Told(
        name="columns_written_as_they_lie",
        program=f"alloc a 32\nwrite a 0 {COLUMNS}\nread a 4 4 -> r0\n",
        headers="policy: eager\nclient: mutating\n",
        says=(
            "took its bytes in the order of memory; they were passed as an array of uint32 of "
            "shape 2x4, in Fortran's order",
        ),
    ),
)
