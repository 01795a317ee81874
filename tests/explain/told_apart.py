"""Mistakes that look like others by what came back, and the words that tell them apart.

Each is told apart by what the calls show of a payload, a bind group, a map or a fault, or by a
program that is made for the question.
"""

from tests.explain.reasons import Told

APART = (
    Told(
        name="flush_keeps_dead_encoder",
        program="alloc a 4\nwrite a 0 01010101\ndispatch affine a 1,1 1x1x1\n",
        headers="device: simulated failed_submits=0\npolicy: eager\n",
        says=(
            "the last sync raised SubmitFailed in other words, after op 2 (dispatch affine a",
            'the second "the encoder has ended"; no call on the device failed in the last sync, '
            "which called no submit",
            "in this order: sync raises SubmitFailed, alloc passes, dispatch raises SubmitFailed",
        ),
    ),
    Told(
        name="upload_written_at_take",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\nwrite a 4 01010101\nwrite a 0 02020202\n"
        "read a 4 4 -> r0\n",
        headers="policy: lazy staged_write_bytes=4096\n",
        says=(
            "the staged bytes of op 2 went to the queue in op 2 itself (call 6), to bytes 0 to 3 "
            "of upload buffer 4; call 7, in op 3, wrote over them before the submit, which is call",
        ),
    ),
    Told(
        name="staged_write_goes_at_once",
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\n",
        headers="policy: ring\n",
        says=(
            "a write of 4 bytes overtakes whatever waits: a read, a copy or a dispatch; a write of "
            "1 or 8 or 64 bytes does not overtake a dispatch",
            "op 2, of 4 bytes, went to the queue at once (call 3)",
        ),
    ),
    Told(
        name="groups_of_the_standard",
        program="alloc a 4\ndispatch affine a 1,1 1x1x-1\n",
        headers="device: simulated max_groups_per_dimension=7\npolicy: eager\n",
        says=(
            "a wrong limit: max_groups_per_dimension=65535 (what WebGPU guarantees), and the "
            "device has max_groups_per_dimension=7",
            "over 1x1x8 groups, one more than the device's limit, op 1 raises SubmitFailed",
        ),
    ),
    Told(
        name="bind_group_is_tried_again",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n",
        headers="device: simulated failed_bind_groups=0\npolicy: eager\n",
        says=(
            "create_bind_group 0, in op 1 (dispatch affine a 1,1 1x1x1), failed as planned and was "
            "called a second time, which went well; nobody raised the fault",
            "with create_bind_group 1 failing as well, op 1 (dispatch affine a 1,1 1x1x1) raised",
        ),
    ),
    Told(
        name="sync_stops_at_fault",
        program="alloc b 8\nread b 0 8 -> r1\nwrite b 0 01010101\n",
        headers="device: simulated failed_encodes=1\npolicy: eager\nclient: own_arrays\n",
        says=(
            "the last sync raised SubmitFailed and left op 1 (read b 0 8 -> r1) on its way",
            "when the sync raised, the bytes of the read were not taken yet; they were taken at "
            "call 14",
        ),
    ),
    Told(
        name="inputs_found_by_size",
        program="alloc a 8\ncopy a 0 a 0 1\ncopy a 0 a 1 4\n",
        headers="policy: ring batch_groups=0\n",
        says=(
            "op 2 (copy a 0 a 1 4) was dispatched with the bind group of op 1 (copy a 0 a 0 1), "
            "which binds storage buffer 2; that buffer was destroyed",
            "the second goes wrong if that is an input of the same size or the second of two "
            "inputs; not if it is an input of another size",
        ),
    ),
    Told(
        name="early_batch_loses_one",
        program="alloc a 4\nread a 0 4 -> r0\ndispatch affine a 1,1 1x1x1\n"
        "dispatch affine a 1,1 1x1x1\n",
        headers="policy: lazy first_batch=1 join_reads=True\n",
        says=(
            "op 3 (dispatch affine a 1,1 1x1x1) was accepted, and no submit up to the close",
            "call 15, made in op 3 itself with the reason 'early', carried out op 2 alone",
            "never submitted, not even by the close: with first_batch=None none; with "
            "first_batch=4 dispatches 4, 13",
        ),
    ),
    Told(
        name="negative_zero_loses_its_sign",
        program="alloc a 4\ncapture g0 dispatch many a 1,1,1,1,1,1,1,1,-0.0,1,1,1 1x1x1\n"
        "replay g0 * -\n",
        headers="policy: ring\n",
        says=(
            "was given its scalar f0, -0.0, as 00000000, and not as 00000080",
            "call 6 wrote 00000000 there, and nothing was written over it",
            "with 0.0 for -0.0 in op 1",
        ),
    ),
    Told(
        name="slot_not_rewritten_when_alike",
        program="alloc a 8\nwrite a 1 01010101\nwrite a 0 01\nread a 0 4 -> r0\n",
        headers="policy: pooled first_batch=1\n",
        says=(
            "the uniforms of op 2 (write a 0 01) were not written: its dispatch of call 11 bound "
            "uniform buffer 2, which was written last at call 3 in op 1",
            "goes wrong if that is the last scalar or the 2nd of 12 scalars or the last of 12 "
            "scalars; not if it is the first scalar",
        ),
    ),
    Told(
        name="staging_maps_whole",
        program="alloc a 4\nread a 0 1 -> r0\n",
        headers="policy: eager\n",
        says=(
            "op 1 (read a 0 1 -> r0) gave 4 bytes, 3 too many",
            "a read of 1 gives 4 alone, and 24 with a read of 20 bytes behind it in the page",
            "of 6 gives 8; right are reads of 4 or 8",
        ),
    ),
    Told(
        name="cached_uniform_rewritten",
        program="alloc a 4\nwrite a 1 01\nwrite a 0 01\nread a 0 4 -> r0\n"
        "dispatch affine a 1,1 1x1x1\n",
        headers="policy: cached join_reads=True uniform_cache=2\n",
        says=(
            "the scalars of op 1 (write a 1 01) were written over in op 4 (dispatch affine a 1,1",
            "call 11, in op 4, wrote over them before the submit, which is call 18; uniform_cache",
            "with uniform_cache=512",
        ),
    ),
    Told(
        name="freed_handle_still_read",
        program="alloc a 4\nfree a\ncapture g0 dispatch affine a 1,1 1x1x1\n",
        headers="policy: eager\n",
        says=(
            "once another buffer is freed afterwards, every op on the freed buffer is refused",
            "accepted: a dispatch that writes it, a dispatch that reads it, a capture",
        ),
    ),
    Told(
        name="uniform_recycled_at_dispatch",
        program="alloc a 4\ndispatch many a 1,1,1,1,1,1,1,1,1,1,1,1 1x1x1\n"
        "dispatch affine a 2,1 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: pooled\n",
        says=(
            "call 5, in op 2, wrote over them before the submit, which is call 12",
            "not with op 2 like op 1, but with other scalars of as many bytes",
            "the uniform buffers that they write are all 2; submits for a full pool come nowhere, "
            "but are due before dispatches 5, 9",
        ),
    ),
    Told(
        name="uniform_shared",
        program="alloc a 4\ndispatch many a 1,1,1,1,1,1,1,1,1,1,1,1 1x1x1\n"
        "dispatch affine a 2,1 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: pooled\n",
        says=(
            "the uniform buffers that they write are all 2; submits for a full pool come before "
            "dispatches 5, 9: slots are counted",
        ),
    ),
    Told(
        name="HighestNumber",
        is_foreign=True,
        program="alloc a 8\nread a 0 4 -> r0\nread a 4 4 -> r1\nread a 0 4 -> r2\n",
        headers="promises: webgpu orders_deliveries=no\ndisturbance: seed=0\n",
        says=(
            "it passes 8 of 46 times: about as often as the map that was asked for last settles",
        ),
    ),
    Told(
        name="empty_step_keeps_its_place",
        program="alloc a 4\nalloc b 4\nwrite b 0 01010101\ncapture g0 dispatch widen b,a 1 1x1x1; "
        "dispatch tally a 1 1x0x1\nreplay g0 _;2 -\nread a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=(
            "ran with the scalars of command 1 of op 4 (2), and not its own",
            "they get 3, none, 2 if the second has no groups (each that of the one before)",
        ),
    ),
    Told(
        name="empty_batch_submitted",
        program="alloc a 0\n",
        headers="policy: eager\n",
        says=("a flush of nothing submits an empty batch too; a sync of nothing submits none",),
    ),
    Told(
        name="empty_submit_not_counted",
        program="alloc a 4\nwrite a 0 01010101\nflush\n",
        headers="policy: eager\n",
        says=(
            "submits of that reason that the device saw: call 3, in op 2 (flush), of 0 commands",
        ),
    ),
    Told(
        name="all_ones_end_a_read",
        program="alloc a 20\nwrite a 0 ffffffff\nread a 0 20 -> r0\n",
        headers="policy: eager\n",
        says=("with op 1 moved on by 8 bytes, bytes 8 to 19 are wrong",),
    ),
    Told(
        name="copy_only_flush_skipped",
        program="alloc a 8\ncopy a 0 a 4 4\nwrite a 0 01010101\nread a 4 4 -> r0\n",
        headers="policy: lazy\n",
        says=("a copy after a dispatch over another buffer",),
    ),
    Told(
        name="last_buffer_found_by_size",
        program="alloc a 4\nalloc b 4\nalloc c 4\ndispatch mix b,b,c 1,1 1x1x1\nfree a\n"
        "dispatch mix b,b,a 1,1 1x1x1\n",
        headers="policy: ring\n",
        says=("the second goes wrong if that is the last of three buffers; not if it is",),
    ),
    Told(
        name="FailedShifts",
        is_foreign=True,
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="promises: webgpu orders_deliveries=no survives_failed_maps=yes\n"
        "disturbance: seed=1 failed_maps=0\n",
        says=("with the same planned fault, got in order: ",),
    ),
    Told(
        name="command_twice_at_limit",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: eager\n",
        says=("op 1 (dispatch affine a 1,1 1x1x1) was submitted twice: at the end of the batch",),
    ),
    Told(
        name="empty_step_keeps_its_place",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x0; dispatch affine a 2,1 1x1x1; "
        "dispatch affine a 1,1 1x1x1\nreplay g0 * -\nread a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=("command 2 of op 2 (dispatch affine a 1,1 1x1x1) ran with the scalars of command 1",),
    ),
    Told(
        name="workgroups_not_counted",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: lazy batch_groups=0\n",
        says=(
            "tried 9 dispatches in a row: with batch_groups=1: a batch had 9 workgroups before its "
            "last command; with batch_groups=4: a batch had 9 workgroups before its last command",
        ),
    ),
    Told(
        name="limit_off_by_one",
        program="alloc a 4\ncopy a 0 a 0 4\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: lazy batch_commands=3\n",
        says=("with batch_commands=1: a batch of 2 commands; with batch_commands=4: a batch of 5",),
    ),
    Told(
        name="staging_pool_keeps_one_more",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="policy: eager\n",
        says=(
            "tried 9 reads in a row: with staging_buffers=1: 2 free staging buffers; with "
            "staging_buffers=4: 5 free staging buffers",
        ),
    ),
    Told(
        name="loss_found_by_verbs_alone",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 -\n",
        headers="device: simulated lost_at_encode=0\npolicy: eager\n",
        says=(
            "op 2 (write a 0 -) was accepted, though the device was lost in op 1 (dispatch affine",
            "this device (profile spec) tells of its loss by a promise alone; with profile",
            "it passes: likeliest the runtime does not look at the promise",
            "lost the device and raised nothing; the first call that failed is call 16",
        ),
    ),
    Told(
        name="loss_trusted_to_promise",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\n"
        "dispatch affine a 1,1 1x1x-1\n",
        headers="device: simulated profile=wgpu-native lost_at_destroy=0\npolicy: eager\n",
        says=(
            "which tells of its loss by a promise alone, it passes: likeliest the runtime",
            "accepted are write of no bytes, flush; refused are alloc, write, dispatch",
        ),
    ),
    Told(
        name="cancelled_sync_takes_it_all",
        program="alloc a 4\nflush\nwrite a 0 01010101\nalloc b 4\nwrite b 0 01010101\n",
        headers="device: simulated refused_maps=1\npolicy: eager\nclient: awaiting\n",
        says=(
            "in op 5 (sync) client awaiting starts four syncs at once, and cancels the first as",
            "the first waited after its failed map (call 18), and was cancelled there, so the next",
            "no sync raised a fault, though no call had raised it yet; called plainly, a sync",
        ),
    ),
    Told(
        name="awaited_sync_forgets_fault",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="device: simulated failed_encodes=0\npolicy: eager\nclient: awaiting\n",
        says=("the first did not wait after its failed encode, so it was not cancelled, and must",),
    ),
    Told(
        name="failure_takes_others_along",
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "the failed submit (call 10) was not made for op 1, which was submitted before (call "
            "5); yet the read of op 1 ended with SubmitFailed as well",
        ),
    ),
)
