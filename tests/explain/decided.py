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
            "after a failed submit, what a copy, a copy of odd bytes, a copy within it wrote is "
            "not lost; what a dispatch, a short write, ",
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
            "each read has 4096 bytes of its own, staging_page_bytes, the size of a page that",
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
            "20 reads of other words, with a sync after each: the first 12 are right, and number "
            "13 and all later ones got the bytes of number 12, and map 13 of the device itself",
        ),
    ),
    Told(
        name="shape_of_a_read_lost",
        program="alloc d 16\nalloc e 116\n",
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
            "has what an earlier read, into the same array and not yet delivered when op 2 was",
            "the first of bytes 16 to 31 of d, the second of bytes 13 to 28",
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
        ),
    ),
    Told(
        name="pipeline_found_by_arity",
        program="alloc a 4\ndispatch count a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "affine goes wrong right after count (bound alike, as many bytes of scalars); not "
            "after many (more bytes of scalars), scramble (no scalars), fold (more buffers)",
            "without a cache of plans, bind groups or uniforms: it goes wrong all the same, so "
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
            "7 reads after a sync of 7 go to staging buffers 5, 6, 6, 7, 7, 8, 8, 4 after a sync "
            "of 4 to one each: likeliest a buffer that is given back to a full pool is listed",
        ),
    ),
)
