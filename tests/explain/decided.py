"""Mistakes that several causes would explain, and the trial whose outcome decides among them."""

from tests.explain.reasons import Told

DECIDED = (
    Told(
        name="replay_needs_nothing",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; copy a 0 a 0 4\n"
        "replay g0 * -\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "op 3 (replay g0 * -) used a, which was lost with the batch of op 2",
            "a lost buffer is accepted by a replay of a dispatch that reads it, a replay of a "
            "dispatch that writes it, a replay of a copy from it; refused by a read",
        ),
    ),
    Told(
        name="copy_not_written",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\ncopy a 0 a 1 4\nwrite a 1 01010101\n"
        "read a 0 4 -> r0\n",
        headers="device: simulated failed_submits=1\npolicy: ring uniform_ring_bytes=40\n",
        says=(
            "after a failed submit, what a copy, a copy of odd bytes, a copy within it wrote does "
            "not count as lost; what a dispatch, a short write, ",
        ),
    ),
    Told(
        name="read_after_error_returns_bytes",
        program="alloc a 4\nwrite a 0 01\nwrite a 0 01\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: ring uniform_ring_bytes=1\n",
        says=("after a failed submit nothing is lost, whatever wrote it: a dispatch, a copy",),
    ),
    Told(
        name="lost_until_written",
        program="alloc a 4\nwrite a 0 01010101\n"
        "capture g0 dispatch scramble a - 1x1x1; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\nwrite a 0 01\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "a lost buffer is accepted again after a write of a part, a write of one byte; not "
            "after a copy to a part",
        ),
    ),
    Told(
        name="read_misses_batch",
        program="alloc a 4\ncopy a 0 a 0 4\nread a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None\n",
        says=(
            "op 2 (read a 0 4 -> r0) overtook op 1 (copy a 0 a 0 4), which was called before it",
            "what was recorded before op 2 stayed in its batch: call 23, in the close",
        ),
    ),
    Told(
        name="staging_of_one_size_each",
        program="alloc a 4\nread a 0 4 -> r0\nsync\nread a 0 4 -> r1\n",
        headers="policy: pooled\n",
        says=(
            "the second of 4, 252 and 260 bytes does not take the free staging buffer of the "
            "first; of 256 and 512 bytes it does: likeliest only a buffer of exactly the read's",
        ),
    ),
    Told(
        name="page_for_each_read",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="policy: eager\n",
        says=(
            "three reads of a word in one batch with join_reads=True: 3 staging buffers are made",
            "with join_reads=False, a read alone makes a staging buffer of 4096 bytes, that is",
        ),
    ),
    Told(
        name="uniforms_missed_now_and_then",
        program="alloc a 8\nwrite a 1 01010101\nwrite a 1 00000000\nwrite a 1 01010101\n"
        "write a 1 01010101\n",
        headers="policy: cached\n",
        says=(
            "12 equal dispatches in a row: dispatches 1, 4, 8 and 12 make an entry of the "
            "uniforms, where the first alone should; with two payloads in turn, dispatches 1, 2, 4",
        ),
    ),
    Told(
        name="mapped_bytes_kept",
        program="alloc a 4\n" + "".join(f"read a 0 4 -> r{n}\n" for n in range(6)),
        headers="policy: pooled\nclient: reentrant\n",
        says=(
            "reads of different words, with a sync after each: the first 12 are right, and number "
            "13 and all later ones got the bytes of number 12, and map 13 of the device itself",
        ),
    ),
    Told(
        name="shape_of_a_read_lost",
        program="alloc d 16\nalloc e 33\n",
        headers="policy: eager\nclient: misusing\nseed: 1/116\n",
        says=(
            "accepted too is a shape of 2x2, which is right (gave shape (4,)), a shape of floats",
        ),
    ),
    Told(
        name="out_filled_once",
        program="alloc d 32\nwrite d 12 01010101\nread d 13 16 -> r0\n",
        headers="policy: eager\nclient: own_arrays\n",
        says=(
            "op 2 (read d 13 16 -> r0) did not fill the array that it reads into: the array still "
            "has the bytes of an earlier read into it, which was not yet delivered when op 2 was",
            "the first of bytes 16 to 31 of d, the second of bytes 13 to 28",
            "of bytes 56 to 63 and 3 to 10: the array had the first's bytes, "
            "though the device gave the second's last: likeliest the second fill is left out",
            "passes: called plainly, not by client own_arrays",
        ),
    ),
    Told(
        name="keeps_bindings",
        is_foreign=True,
        program="alloc a 8\nalloc b 4\ndispatch fold a,b 1 1x1x1\nwrite a 0 01010101\nfree a\n"
        "alloc c 4\ndispatch fold c,b 1 1x1x1\nread b 0 4 -> r0\n",
        headers="promises: webgpu\n",
        says=(
            "op 6 (dispatch fold c,b 1 1x1x1) bound a,b, as op 2 did, and not its own buffers; a "
            "was freed",
            "with op 5 (alloc c 4) before op 4 (free a) it passes; likeliest c took over a's ",
            "with c of 12 bytes it fails as well",
        ),
    ),
    Told(
        name="pipeline_found_by_arity",
        program="alloc a 4\ndispatch count a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "affine goes wrong right after count (the same bindings, as many bytes of scalars); "
            "not after many (more bytes of scalars), scramble (no scalars), fold (more buffers)",
            "without a cache of plans, bind groups or uniforms: it still goes wrong, so "
            "likeliest the pipeline of one kernel was found for the other",
        ),
    ),
    Told(
        name="staging_evicted_stays_free",
        program="alloc a 4\n"
        + "".join(f"read a 0 4 -> r{n}\n" for n in range(7))
        + "sync\nread a 0 4 -> r7\nread a 0 4 -> r8\n",
        headers="policy: pooled\n",
        says=(
            "after a sync of 7 reads, the next 7 go to staging buffers 5, 6, 6, 7, 7, 8, 8; after "
            "a sync of 4, the next 4 go to one each: likeliest a buffer given back to a full pool "
            "is listed twice",
        ),
    ),
    Told(
        name="same_group_twice_is_once",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: cached\n",
        says=(
            "op 2 is the same call as op 1; no submit carried out op 2",
            "with op 2 with other scalars, 2,1",
            "not with op 2 over another grid, 2x1x1",
        ),
    ),
    Told(
        name="LosesBatch",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\nalloc b 4\nalloc c 4\nread a 0 4 -> r0\n"
        "read a 0 4 -> r1\n",
        headers="promises: webgpu orders_deliveries=no survives_out_of_memory=yes\n"
        "disturbance: seed=0 out_of_memory=4\n",
        says=(
            "op 5 (read a 0 4 -> r1) met the planned fault (out_of_memory=4)",
            "what was recorded before it was lost: op 4 (read a 0 4 -> r0) was given zeros",
        ),
    ),
    Told(
        name="LossIsZeros",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\n",
        headers="promises: webgpu orders_deliveries=no survives_loss=yes\n"
        "disturbance: seed=0 lost_at_submit=0\n",
        says=(
            "the planned fault (lost_at_submit=0) was swallowed: op 2 (read a 0 4 -> r0) was given "
            "zeros, and no op raised an error",
        ),
    ),
    Told(
        name="FailedShifts",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="promises: webgpu orders_deliveries=no survives_failed_maps=yes\n"
        "disturbance: seed=1 failed_maps=0\n",
        says=(
            "went to the wrong op: op 3 (read a 0 4 -> r1) raised RuntimeError",
            "op 2 got zeros, op 3 got RuntimeError",
        ),
    ),
    Told(
        name="staging_ignores_misalignment",
        program="alloc a 72\nread a 0 72 -> r0\n",
        headers="policy: eager staging_class_bytes=64\n",
        says=(
            "bytes fail, each in a staging buffer 4 bytes shorter than the read (248 for 252); "
            "those of 4 or 12 pass, 12 in one of 256 bytes",
        ),
    ),
    Told(
        name="same_group_twice_is_once",
        program="alloc a 4\ndispatch scramble a - 1x1x1\ndispatch scramble a - 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None\n",
        says=(
            "the second of two dispatches in a row goes wrong if they differ in nothing or the "
            "kernel or the grid in x; not if they differ in an output or the part or the first",
        ),
    ),
    Told(
        name="replay_heals_what_it_writes",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; copy a 0 a 0 4\n"
        "replay g0 * -\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "op 3 (replay g0 * -) used a, which was lost with the batch of op 2, and was accepted",
            "a lost buffer is accepted by a replay of a dispatch that writes it; refused by a "
            "replay of a dispatch that reads it, a replay of a copy from it, a read",
        ),
    ),
    Told(
        name="evicted_still_found",
        program="alloc a 8\nwrite a 1 01010101\nwrite a 1 02020202\nwrite a 1 03030303\n",
        headers="policy: cached uniform_cache=2\n",
        says=(
            "with a flush and op 1 once more at the end: it binds uniform buffer 2 again (call "
            "20), which was destroyed at call 16: likeliest a cache still finds it",
        ),
    ),
    Told(
        name="shape_cache_disposes_held",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch scramble a - 1x1x1\n"
        "alloc b 260\ncapture g0 dispatch affine a 1,1 2x1x1\ndispatch affine b 1,1 1x2x1\n"
        "dispatch_indirect affine a 1,1 b 248\nread a 0 4 -> r0\n",
        headers="policy: eager shape_cache=3\n",
        says=(
            "op 5 is dispatched over 1x1x1 groups, for which no op asks",
            "op 5 is the first in which the cache of launch shapes evicted an entry",
        ),
    ),
    Told(
        name="reuse_keeps_old_bytes",
        program="alloc a 0\n",
        headers="policy: eager\n",
        says=(
            "an alloc is given a freed buffer again, with its old bytes; so op 1 (close) ended",
            "then an alloc of as many bytes has its bytes, and should have zeros; an alloc of more",
            "each buffer that was made was destroyed by a call, the last one by call 2; so",
        ),
    ),
    Told(
        name="stale_handles",
        is_foreign=True,
        program="alloc a 4\nfree a\nalloc b 4\nwrite a 0 01010101\nread b 0 4 -> r0\n",
        headers="promises: webgpu invalid_handle=contained orders_deliveries=no\n",
        says=("op 3 (write a 0 01010101) was accepted: its freed handle a reached b",),
    ),
    Told(
        name="staging_pool_gives_smaller",
        program="alloc a 260\ndispatch affine a 1,1 1x1x1\nread a 0 260 -> r0\n",
        headers="policy: pooled debug_submit_each=True\n",
        says=(
            "the copy of op 2, of 260 bytes, goes to staging buffer 5, which has 256 bytes, was "
            "made in op 1 (dispatch affine a 1,1 1x1x1) (call 9) and is used again; alone, reads",
        ),
    ),
    Told(
        name="reuses_early",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nfree a\nalloc b 4\n",
        headers="promises: webgpu\n",
        says=(
            "op 4 (alloc b 4) was given the memory of a, which op 3 freed, and its clearing "
            "overtook op 2 (read a 0 4 -> r0), so op 2 copied zeros",
        ),
    ),
    Told(
        name="refusal_names_newest",
        program="alloc a 0\nfree a\nalloc b 0\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=(
            "its refusal names x after 'alloc x; free x', y after 'alloc x; alloc y; free x', z "
            "after 'alloc x; free x; alloc y; alloc z', y after 'alloc x; alloc y; alloc z; free x;"
            " free z'",
        ),
    ),
    Told(
        name="overtakes",
        is_foreign=True,
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\n",
        headers="promises: webgpu write_offset_bytes=1 write_size_bytes=1\n",
        says=(
            "a write overtakes whatever waits: a read, a copy or a dispatch; writes of 1, 4, 8 and "
            "64 bytes overtake a dispatch, so no write waits for anything",
        ),
    ),
    Told(
        name="forgets_reads",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\n"
        + "".join(f"read a 0 4 -> r{n}\n" for n in range(3)),
        headers="promises: webgpu\n",
        says=(
            "of 3, first, second, none; of 4, first, second, none, fourth; the same for 3 of "
            "growing lengths, of 3 buffers, or after a sync: the place of a read in its "
            "sync decides",
        ),
    ),
)
