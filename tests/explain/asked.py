"""Mistakes that the failing program cannot tell apart, and the programs that were tried for it."""

from tests.explain.reasons import Told

_FOREIGN = "promises: webgpu\n"
ASKED = (
    Told(
        name="awaited_sync_stops_at_fault",
        program="alloc a 4\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: lazy join_reads=True\n"
        "client: awaiting\n",
        says=(
            "tried a read that one submit carries out, and then a submit that fails: this goes "
            "wrong in the same way with join_reads=True and with join_reads=False, but not if "
            "called plainly",
        ),
    ),
    Told(
        name="empty_ring_written",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nflush\nread a 0 4 -> r0\n",
        headers="device: simulated profile=wgpu-native\npolicy: ring\n",
        says=("call 9, wrote 0 bytes to uniform buffer 2; since the last submit no dispatch was",),
    ),
    Told(
        name="empty_step_keeps_its_place",
        program="alloc a 4\nalloc b 4\ncapture g0 dispatch tally a 1 1x1x1; "
        "dispatch blend b,a 1 1x1x0\nreplay g0 _;0.30078125 -\n",
        headers="policy: ring\n",
        says=(
            "op 3 (a replay) ran its first dispatch with the scalars given for its second",
            "they get 3, none, 2 if the second has no groups (each that of the one before)",
        ),
    ),
    Told(
        name="grid_of_two_cut",
        program="alloc a 4\nalloc b 12\ndispatch_indirect affine a 1,1 b 0\n",
        headers="policy: eager\n",
        says=(
            "wrong are (2, 3) and [2, 3], run over 2x1x1 groups, and not over 2x3x1; right are 5, "
            "(5,), [5], (2, 3, 2), [2, 3, 2]",
            "the grid of an indirect dispatch is passed as a pair as well, (buffer, offset)",
        ),
    ),
    Told(
        name="batch_encoded_twice",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\n"
        "write a 0 01010101\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="policy: eager batch_commands=None staged_write_bytes=4096 join_reads=True "
        "uniforms=ring\n",
        says=("those of 5, 6, 7, 8, 9 go wrong; right are those of 1, 2, 3, 4",),
    ),
    Told(
        name="upload_accepts_all",
        program=f"alloc a 68\nread a 0 4 -> r0\nwrite a 0 {'01' * 68}\n",
        headers="policy: ring upload_bytes=64\n",
        says=(
            "upload_bytes=64: a write that finds no room in the upload buffer must not be",
            "wrong are one of 68 and two of 36; right are one of 64 and two of 32",
        ),
    ),
    Told(
        name="all_ones_end_a_read",
        program="alloc a 20\nwrite a 0 ffffffff\nread a 0 20 -> r0\n",
        headers="policy: eager\n",
        says=(
            "from the word ffffffff on (byte 8) all 12 bytes of the read are zero, and all before "
            "it are right",
        ),
    ),
    Told(
        name="free_while_read_pending",
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01\n",
        headers="policy: eager\n",
        says=(
            "a free of a buffer right after a read of it goes wrong (SubmitFailed: a buffer it "
            "uses is destroyed); right is a free after a dispatch that writes it",
        ),
    ),
    Told(
        name="mappings_crossed",
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\nread a 0 4 -> r1\n",
        headers="policy: eager\n",
        says=(
            "of 2, second, first; of 3, second, first, third; of 4, second, first, fourth, third; "
            "each its own for 2 of growing lengths; the same for 2 of 2 buffers, or 2 after a sync",
        ),
    ),
    Told(
        name="replay_keeps_old_bindings",
        program="alloc a 4\nalloc b 4\ncapture g0 dispatch fold b,a 1 1x1x1\n"
        "replay g0 * b=a,a=b\nreplay g0 * -\n",
        headers="policy: eager\n",
        says=("plainly, then with x=y, then with x=w: the third copies x",),
    ),
    Told(
        name="copies_hoisted",
        program="alloc a 4\nalloc b 4\ndispatch affine a 1,1 1x1x1\nread b 0 4 -> r0\n",
        headers="policy: eager batch_commands=None\n",
        says=(
            "dispatch, read of it -> read of it, dispatch; copy, dispatch, other -> copy, other, "
            "dispatch; as issued: copy, read",
        ),
    ),
    Told(
        name="edges_from_shadow_copy",
        program="alloc a 4\nwrite a 0 01010101\nwrite a 1 01\n",
        headers="policy: eager\n",
        says=(
            "4 bytes at 0, 01010101, are not those of write op 2",
            "tried with dispatch affine a 3,1 1x1x1 as op 2, and a read at the end: op 3 (write a "
            "1 01) put back the bytes beside it, up to multiples of 4 bytes, as they were before",
        ),
    ),
    Told(
        name="large_staging_shared",
        program="alloc a 4100\nread a 0 4100 -> r0\n",
        headers="policy: eager\n",
        says=(
            "those of 4100 bytes go to staging buffers 3, 3, 3 (all with wrong bytes); those of "
            "4096 or 4 bytes go to staging buffers 3, 4, 5",
        ),
    ),
    Told(
        name="upload_keeps_first",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nflush\nwrite a 0 01\n"
        "write a 0 02020202\nread a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=(
            "of two batches that stage host writes, the second goes wrong if it stages as many "
            "bytes as the first or as many, for another place; not if it stages fewer or more",
            "no call wrote the bytes that the copy of call 16 takes from upload buffer 4",
        ),
    ),
    Told(
        name="queue_write_jumps_queue",
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nwrite a 0 01010101\n",
        headers="policy: eager\n",
        says=(
            "op 3 (write a 0 01010101), call 8, took effect on the device before work that was "
            "submitted earlier: op 2, call 6",
            "a read between two writes of a word gives older bytes, and a read after a sync gives "
            "the first write's",
        ),
    ),
    Told(
        name="narrow_offset_drops_write",
        program="alloc c 16\nalloc z 32\n",
        headers="policy: eager\nclient: misusing\n",
        says=(
            "is not refused: the call gave NoneType and no counter of stats() changed: it was "
            "dropped, and no bytes were moved",
            "refused is a write far past its buffer at a plain int, a write far past its buffer at "
            "np.int64",
        ),
    ),
    Told(
        name="clock_of_half_a_word",
        program="alloc a 0\n",
        headers="policy: eager\n",
        says=("counted from 253: passes; from 65533: OverflowError: 65537 in op 8; from 42949",),
    ),
    Told(
        name="late_sync_hides_its_fault",
        program="alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\n",
        headers="device: simulated failed_submits=2\npolicy: eager\nclient: dropping\n",
        says=(
            "submit (call 17) failed with SubmitFailed in op 3 (sync), and nobody heard of it",
            "client dropping calls sync(timeout=0) before it, and catches its WaitTimedOut; of 2 "
            "calls submit there, number 1 failed",
        ),
    ),
    Told(
        name="refusal_names_other_limit",
        program="alloc a 4\ndispatch affine a 1,1 1x1x-1\n",
        headers="policy: eager\n",
        says=("64 is here the size of a workgroup of affine",),
    ),
    Told(
        name="failed_close_leaves_reads",
        program="alloc a 4\nread a 0 4 -> r0\n",
        headers="device: simulated failed_submits=0\npolicy: lazy join_reads=True\n"
        "client: closing\n",
        says=("the call submit (call 5, reason: close) failed", "passes: with a flush after op 1"),
    ),
    Told(
        name="drops_commands",
        is_foreign=True,
        program="alloc a 4\nalloc b 4\nwrite b 0 01010101\nread b 0 4 -> r0\ncopy a 4 b 0 4\n",
        headers=_FOREIGN,
        says=("neither of the two before it has an effect, the one after it has its effect",),
    ),
    Told(
        name="clears_late",
        is_foreign=True,
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 4 4 -> r0\n",
        headers=_FOREIGN,
        says=("passes: with a flush before op 1; not with op 1 twice; not with a flush in place",),
    ),
    Told(
        name="uniform_key_sum",
        program="alloc a 4\ndispatch tally a 25 139x1x1\ndispatch tally a 27 137x1x1\n"
        "read a 0 4 -> r0\n",
        headers="policy: cached\n",
        says=(
            "the second goes wrong if that is the order of the scalars or both scalars, with the "
            "same sum; not if it is the first scalar, the last scalar, both scalars, with the same",
        ),
    ),
    Told(
        name="run_writes_unmarked",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1\nreplay g0 * -\nsync\n"
        "read a 0 4 -> r0\n",
        headers="device: simulated failed_writes=0\npolicy: ring\n",
        says=(
            "op 4 (read a 0 4 -> r0) used a, which was lost with the batch of op 2",
            "the call write_buffer (call 6) failed with SubmitFailed during op 3 (sync), and that "
            "op raised it",
            "with op 2's commands called plainly",
        ),
    ),
    Told(
        name="freed_handle_still_read",
        program="alloc a 4\nalloc e 256\nfree a\nread e 0 4 -> r210\nread e 0 256 -> r211\n",
        headers="policy: lazy join_reads=True\nclient: misusing\n",
        says=(
            "once another buffer is freed afterwards, every op on the freed buffer is refused",
            "accepted: a dispatch that writes it, a dispatch that reads it",
        ),
    ),
    Told(
        name="run_cut_late",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch affine a 1,1 1x1x1; "
        "dispatch affine a 1,1 1x1x1\nreplay g0 * -\n",
        headers="policy: ring batch_commands=2\n",
        says=(
            "tried 9 dispatches of one replay in a row: with batch_commands=1: a batch of 2 "
            "commands; with batch_commands=4: a batch of 5 commands",
        ),
    ),
    Told(
        name="queued_writes_not_counted",
        program=f"alloc a 260\nwrite a 0 {'01' * 260}\n",
        headers="policy: eager queued_write_bytes=258\n",
        says=(
            "with queued_write_bytes=4: 36 bytes wait for a submit; with queued_write_bytes=16: 36",
        ),
    ),
    Told(
        name="conflict_misses_last_word",
        program="alloc a 12\nalloc b 4\ncopy b 0 a 8 4\nwrite a 0 010101010101010101010101\n"
        "read a 8 4 -> r0\n",
        headers="policy: lazy flush_on_conflict=True\n",
        says=("write of 16 bytes overtakes a copy to its last word, but not a copy to its first",),
    ),
    Told(
        name="sync_with_nothing_to_submit_returns",
        program="alloc a 4\nwrite a 0 01010101\nsync\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=("fact: op 4 made no call on the device",),
    ),
    Told(
        name="slots_grown_under_batch",
        program="alloc a 5\nwrite a 0 01\ndispatch affine a 1,1 1x1x1\nwrite a 3 0101\n"
        "copy a 1 a 0 4\n",
        headers="policy: pooled\n",
        says=(
            "op 4 destroyed uniform buffers of 8, 24 bytes, and made some of 12 bytes; no older",
            "a second batch, with 8 and then 48 bytes, goes wrong; with 8 and then 4 or 8 bytes it "
            "does not",
        ),
    ),
    Told(
        name="last_edge_lost",
        program="alloc a 8\nwrite a 1 01010101\nread a 4 4 -> r0\n",
        headers="policy: eager\n",
        says=("wrong are those that cover two words only in part; the other 17 of 32 are right",),
    ),
    Told(
        name="edge_of_three_bytes_cut",
        program="alloc a 4\nwrite a 0 010101\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("wrong are those that cover just 3 bytes of a word; the other 21 of 32 are",),
    ),
    Told(
        name="sync_waits_for_submit_only",
        program="alloc a 4\nwrite a 0 01010101\n",
        headers="policy: eager\n",
        says=("fact: op 2 made the calls encode, submit",),
    ),
    Told(
        name="numbers_wrap_around",
        program="alloc a 4\nalloc b 4\nalloc c 0\nalloc d 0\nalloc e 0\nalloc f 0\nalloc g 0\n"
        "read b 0 4 -> r0\nalloc h 0\nalloc i 4\ncopy a 0 i 0 4\n",
        headers="policy: lazy\n",
        says=("without op 2 (alloc c 0), which nothing uses: then i is buffer 8, and not 9",),
    ),
    Told(
        name="few_reads_in_flight",
        program="alloc b 312\nalloc c 360\nread b 0 312 -> r0\nread c 0 312 -> r2\n"
        "read c 132 228 -> r4\n",
        headers="policy: eager\nclient: own_arrays\n",
        says=("with reads of 4 bytes before one sync: 128 pass, 129 fail",),
    ),
    Told(
        name="copy_groups_rounded_down",
        program="alloc a 264\nwrite a 256 01010101\ncopy a 1 a 0 260\nread a 256 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "each tried alone: wrong are one of 515 bytes, one of 516 bytes from an odd byte; "
            "right are a copy of whole words",
            "with other data in filled buffers, a read of all 264 bytes of a is wrong in bytes 256 "
            "to 259 (from byte 256)",
        ),
    ),
    Told(
        name="scratch_too_small_by_phase",
        program="alloc a 8\nwrite a 0 01010101\ncopy a 1 a 0 4\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=(
            "since it went over a scratch buffer that is too small: that has 4 bytes (call 3), but "
            "the whole words around bytes 1 to 4 of a have 8 bytes",
            "wrong are only 2 from byte 3, 3 from byte 2 or 3, 4 from byte 1 or 2 or 3: those that "
            "reach into one word more than their length fills",
            "wrong are one within a buffer from an odd byte; right are",
        ),
    ),
    Told(
        name="repeated_read_elided",
        program="alloc a 4\nread a 0 4 -> r0\nsync\nread a 0 4 -> r1\n"
        "dispatch affine a 1,1 1x1x1\n",
        headers="policy: eager\n",
        says=("op 1, earlier, is the same call: likeliest op 3 was taken for a repetition of it",),
    ),
    Told(
        name="part_to_the_end",
        program="alloc a 260\ndispatch exchange a[256:260],a[0:4] 1 1x1x1\n",
        headers="policy: eager\n",
        says=("over bytes 256 to 319 of a buffer of 1024 changes bytes 256 to 1023",),
    ),
    Told(
        name="run_touches_nothing",
        program="alloc a 8\ndispatch affine a[0:4] 1,1 1x1x1\n"
        "capture g0 dispatch affine a 1,1 1x1x1\nreplay g0 * -\nwrite a 4 01010101\n"
        "read a 4 4 -> r0\n",
        headers="policy: ring flush_on_conflict=True\n",
        says=("overtakes a replay after other commands, but not a replay",),
    ),
    Told(
        name="early_batch_loses_one",
        program="alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\nread a 0 4 -> r1\n"
        "read a 0 4 -> r2\n",
        headers="policy: lazy first_batch=1 join_reads=True\n",
        says=(
            "op 4 (read a 0 4 -> r2) was accepted, and no submit up to the close",
            "made in op 4 itself with the reason 'early', carried out op 3 alone",
        ),
    ),
    Told(
        name="shape_key_lacks_depth",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x-1\n",
        headers="policy: cached\n",
        says=("goes wrong if that is the grid in z; not if it is the grid in x, the grid in y",),
    ),
    Told(
        name="sync_forgets_read",
        program="alloc a 4\nwrite a 0 01010101\nread a 0 0 -> r0\n",
        headers="policy: eager\n",
        says=("of 2 the first alone is wrong; of 3 the first and the second alone are wrong",),
    ),
    Told(
        name="wide_grid_cut",
        program="alloc a 4\ndispatch tally a 1 8x1x1\n",
        headers="device: simulated max_groups_per_dimension=7\npolicy: eager\n",
        says=("7 is the device's limit of workgroups in one dimension",),
    ),
    Told(
        name="staging_size_rounded_down",
        program="alloc a 260\nread a 0 260 -> r0\n",
        headers="policy: eager\n",
        says=("508 or 516 or 768 or 1028 bytes fail; those of 4 or 12 or 252 or 256 or 512",),
    ),
    Told(
        name="failed_read_gives_zeros",
        program="alloc a 316\ndispatch affine a 1,1 1x1x1\nread a 0 312 -> r2\n",
        headers="device: simulated failed_encodes=6\npolicy: lazy first_batch=1 join_reads=True\n"
        "client: own_arrays\n",
        says=(
            "op 2 (read a 0 312 -> r2) gave zeros instead of some bytes, and no error, though "
            "encode (call 109) failed with SubmitFailed in op 3 (sync)",
        ),
    ),
    Told(
        name="ring_write_cut",
        program="alloc a 4\n" + "dispatch affine a 1,1 1x1x1\n" * 9 + "read a 0 4 -> r0\n",
        headers="policy: ring\n",
        says=("no call ever wrote those bytes: call 5 wrote bytes 0 to 2047 of uniform buffer 2",),
    ),
)
