"""Mistakes that show in what the submits carried out, and the words that name the mistake.

For each, the law that is broken first names only what is wrong.  The words say what the trace has
in its place.
"""

from tests.explain.reasons import Told

CARRIED = (
    Told(
        name="ring_cursor_kept",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,2 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: ring batch_groups=0\n",
        says=(
            "op 2 bound bytes 0 to 7 of uniform buffer 2; at its submit (call 11) they held "
            "0100000001000000, the payload of op 1",
            "its own payload 0100000002000000 was written at call 8, in op 2 (dispatch affine a "
            "1,2 1x1x1), to bytes 256 to 263 of uniform buffer 2",
        ),
    ),
    Told(
        name="ring_cursor_kept",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 02\nread a 0 4 -> r0\n",
        headers="policy: ring batch_groups=0\n",
        says=(
            "a dispatch of gpusim_patch_words bound its uniforms at byte 0 of uniform buffer 2 "
            "(call 11), but the payloads of its batch were written at bytes 256 to 511 (call 9, in",
            "call 4 wrote the payloads of the batch before to bytes 0 to 255",
            "the dispatch's offset counts as if they began at byte 0",
        ),
    ),
    Told(
        name="slot_too_small",
        program="alloc a 5\ndispatch affine a 1,1 1x1x1\nwrite a 3 0101\n",
        headers="policy: pooled\n",
        says=(
            "op 2 (write a 3 0101) was given uniform buffer 2, of 8 bytes, for a payload of 24 "
            "bytes: call 8 wrote 8 bytes of it, and its dispatch of gpusim_patch_words bound 8",
            "op 1 (dispatch affine a 1,1 1x1x1) made that buffer (call 2)",
        ),
    ),
    Told(
        name="uniform_key_short",
        program="alloc a 4\ndispatch many a 1,2,3,4,5,6,7,8,9,10,11,12 1x1x1\n"
        "dispatch many a 1,2,3,4,5,6,7,8,9,10,11,13 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: cached\n",
        says=(
            "goes wrong if that is the last of 12 scalars; not if it is the 2nd of 12 scalars",
            "9, 10; not in scalar 11, 12: so likeliest only the first 40 bytes are compared",
        ),
    ),
    Told(
        name="bind_group_key_joined",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\ndispatch affine a[0:4] 1,1 1x1x1\n"
        "read a 4 4 -> r0\n",
        headers="policy: cached\n",
        says=(
            "the second goes wrong if that is the part or the numbers of two buffers that give "
            "one text if joined (1 with 14 and 11 with 4); not if it is an input of the same size",
        ),
    ),
    Told(
        name="fault_never_raised",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="device: simulated refused_maps=0\npolicy: eager\n",
        says=(
            "tried with a read whose map fails, and two syncs after it: the value of op 1 (read x "
            "0 4 -> r) ended with MapFailed; no sync raised a fault",
        ),
    ),
    Told(
        name="limit_zero_means_never",
        program="alloc a 8\nwrite a 1 01010101\n",
        headers="policy: eager\n",
        says=(
            "tried 9 dispatches in a row: with batch_commands=1: it passes; with batch_commands=4: "
            "it passes; with batch_commands=0: a batch of 10 commands",
        ),
    ),
    Told(
        name="freed_handle_still_read",
        program="alloc a 4\nfree a\ncapture g0 dispatch affine a 4294967296,1 1x1x1\n",
        headers="policy: eager\n",
        says=(
            "raised InvalidScalar, but must be refused with InvalidHandle",
            "once another buffer is freed afterwards, every op on the freed buffer is refused",
            "accepted: a dispatch that writes it, a dispatch that reads it, a capture",
        ),
    ),
    Told(
        name="failed_read_gives_zeros",
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\n",
        headers="device: simulated lost_at_submit=0\npolicy: eager\n",
        says=(
            "op 2 (read a 0 4 -> r0) gave zeros instead of some bytes, and no error, though "
            "lost (call 8) failed with DeviceLost in op 3 (sync)",
            "no call took the bytes of op 2 from staging buffer 2, to which they were copied",
        ),
    ),
    Told(
        name="await_raises_what_is_kept",
        program="alloc a 4\nread a 0 4 -> r0\n",
        headers="device: simulated refused_maps=0\npolicy: eager\nclient: awaiting\n",
        says=(
            "the value was delivered before the first wait: so the await raised the error of an "
            "earlier op at once",
        ),
    ),
    Told(
        name="repeated_read_elided",
        program="alloc a 0\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=(
            "likeliest a read is kept for a later one: of two reads with a write in between, the "
            "second gives the old bytes if the first was delivered by then; not if",
        ),
    ),
    Told(
        name="empty_step_keeps_its_place",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x0; dispatch affine a 2,1 1x1x1; "
        "dispatch affine a 1,1 1x1x1\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="policy: eager uniforms=ring\n",
        says=(
            "they held 0100000001000000, the payload of command 0 of op 2",
            "with one group in place of none in command 0 of op 1",
        ),
    ),
    Told(
        name="same_whole_copy_skipped",
        program="alloc a 4\ncopy a 0 a 0 4\ncapture g0 copy a 0 a 0 4; dispatch affine a 1,1 "
        "1x1x1\nreplay g0 * -\n",
        headers="policy: eager\n",
        says=(
            "command 0 of op 3 (copy a 0 a 0 4) was left out: no submit carried it out",
            "op 1, earlier, is the same call",
        ),
    ),
    Told(
        name="evict_flushes_inside_pass",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: lazy\n",
        says=(
            "op 2 itself submitted the commands before it (call 8, reason: uniforms), and was "
            "recorded in no batch",
        ),
    ),
    Told(
        name="whole_copy_waits",
        program="alloc a 4\ncopy a 0 a 0 4\nalloc b 4\ndispatch affine b 1,1 1x1x1\n",
        headers="policy: eager batch_commands=None\n",
        says=("another order: issued as op 1, op 3; submitted as op 3, op 1",),
    ),
    Told(
        name="command_twice_at_limit",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: eager\n",
        says=(
            "op 1 (dispatch affine a 1,1 1x1x1) was submitted twice: at the end of the batch of "
            "call 5 (reason: commands), and again in the next batch, in op 2 (sync)",
        ),
    ),
    Told(
        name="run_repeats_step_at_cut",
        program="alloc a 4\nalloc b 4\ncapture g0 dispatch affine b 1,1 1x1x1; dispatch affine b "
        "1,1 1x1x1; dispatch affine b 1,1 1x1x1; dispatch fold b,a 1 1x1x1\nreplay g0 * -\n"
        "read a 0 4 -> r0\n",
        headers="policy: ring batch_commands=3\n",
        says=(
            "command 2 of op 3 (dispatch affine b 1,1 1x1x1) was submitted twice: at the end of "
            "the batch",
        ),
    ),
    Told(
        name="replay_bound_in_any_order",
        program="alloc a 8\nwrite a 4 01010101\nalloc b 4\ncapture g0 copy b 0 a 4 4\nalloc c 8\n"
        "replay g0 * b=a,a=c\nreplay g0 * b=c\nread a 4 4 -> r0\n",
        headers="policy: eager\n",
        says=("op 5 replayed g0 over a, c, and op 6 over c, a: the same buffers in another order",),
    ),
    Told(
        name="two_bytes_in_the_middle",
        program="alloc a 4\nwrite a 1 0101\n",
        headers="policy: eager\n",
        says=("carried out as a write of 0101 at byte 2 of a, and should write bytes 1 to 2",),
    ),
    Told(
        name="put_keeps_oldest_key",
        program="alloc a 4\ndispatch scramble a - 1x1x1\nwrite a 0 01\nwrite a 0 01\n"
        "dispatch scramble a - 1x1x1\n",
        headers="policy: eager cache_bind_groups=True bind_group_cache=2\n",
        says=(
            "group 6 was made for kernel gpusim_patch_words; scramble has group 2, made at call 2: "
            "likeliest an entry of the cache has the value of another key",
        ),
    ),
    Told(
        name="evicts_what_it_added",
        program="alloc a 8\nwrite a 1 01010101\nwrite a 1 02020202\nwrite a 1 03030303\n",
        headers="policy: cached uniform_cache=2\n",
        says=(
            "uniform buffer 6, number 3 of 3, was made at call 8, in op 3 (write a 1 03030303); "
            "destroyed at call 19, in op 4 (sync); destroyed at call 25, in the close",
        ),
    ),
    Told(
        name="mappings_crossed",
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\nread a 0 4 -> r1\n",
        headers="policy: eager\n",
        says=(
            "op 1 (read a 0 4 -> r0) was given the bytes of staging buffer 3, the page of op 3, "
            "though its own page, staging buffer 2, was not taken yet",
        ),
    ),
    Told(
        name="reads_share_full_page",
        program="alloc a 188\nread a 1 184 -> r0\nread a 1 68 -> r1\n",
        headers="policy: ring staging_page_bytes=64\n",
        says=("only the first 0 bytes of it were mapped (call 8)",),
    ),
    Told(
        name="fourth_read_of_page",
        program="alloc a 8\nwrite a 0 01010101\nread a 0 4 -> r0\nread a 0 4 -> r1\n"
        "read a 0 4 -> r2\nread a 4 4 -> r3\n",
        headers="policy: lazy join_reads=True\n",
        says=(
            "op 5 is read 4 of the 4 in one page, staging buffer 2: its copy went to bytes 12 to "
            "15, but op 5 was given what the page has from byte 8 on, the place of op 4",
        ),
    ),
    Told(
        name="sync_forgets_read",
        program="alloc a 0\nread a 0 0 -> r0\nread a 0 0 -> r1\n",
        headers="policy: eager\n",
        says=("delivered in this order: r1; never delivered: r0",),
    ),
)
