"""Mistakes whose reason is varied, or followed from call to call, and words of their arguments.

Those that a program shows which is made for the question, and those of others' runtimes, are in
``trials``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A mistake, a program that shows it, and what must stand in the lines."""

    name: str
    program: str
    says: tuple[str, ...]
    headers: str = ""
    is_foreign: bool = False


REASONS = (
    Told(
        name="two_streams_one_encoder",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\nread a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None\n",
        says=(
            "another order: issued as op 2 command 0, op 2 command 1, op 3; submitted as "
            "op 2 command 0, op 3, op 2 command 1",
        ),
    ),
    Told(
        name="evicted_uniform_leaked",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\ncopy a 1 a 0 4\nwrite a 1 01010101\n"
        "copy a 0 a 0 1\ncopy a 0 a 4 1\ncopy a 0 a 1 4\n",
        headers="policy: cached uniform_cache=5\n",
        says=("uniform buffer 2, made in op 1", "was never destroyed, not even by the close"),
    ),
    Told(
        name="windows_aligned_to_words",
        program="alloc a 516\ncopy a 0 a 4 1\n",
        headers="device: simulated max_binding_bytes=512\npolicy: eager\n",
        says=(
            "gave the runtime a wrong limit: storage_offset_alignment_bytes=4, and the device has "
            "storage_offset_alignment_bytes=256",
            "binding 1 starts at 4, which is not a multiple of 256",
        ),
    ),
    Told(
        name="uniforms_of_the_class",
        program="alloc a 4\nalloc b 0\ndispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\n",
        headers="policy: cached join_reads=True uniform_cache=1\nclient: beside\n",
        says=(
            "the runtime beside destroyed uniform buffer 5",
            "which the runtime of the program had made",
            "the runtime of the program has uniforms=cached",
            "client beside: it runs a second runtime on the same device",
        ),
    ),
    Told(
        name="buffers_of_the_class",
        program="alloc a 8\nwrite a 0 01eae95ec4c4289d\nread a 0 4 -> r0\n",
        headers="policy: eager\nclient: beside\n",
        says=("wrote to storage buffer 2", "which the runtime beside had made"),
    ),
    Told(
        name="pipeline_keyed_by_name",
        program="alloc a 0\nalloc b 4\nalloc c 4\ndispatch affine c 2,1 1x1x1\ncopy c 0 b 0 4\n"
        "read b 0 4 -> r0\nwrite a 0 -\n",
        headers="policy: eager\nclient: beside\n",
        says=("op 3 of the runtime beside ran the pipeline of the other runtime's kernel affine",),
    ),
    Told(
        name="all_ones_end_a_read",
        program="alloc a 20\nwrite a 0 ffffffff\nread a 0 20 -> r0\n",
        headers="policy: eager\n",
        says=(
            "though staging buffer 2 held ffffffff00000000... when it was mapped",
            "lost on the host, after the device had delivered them",
            "with op 2 (read) cut to at most 16 bytes, while 17 bytes (20 in whole words) fail",
            "with 01010101 for ffffffff in op 1",
            "if a is filled with 11 first, bytes 0 to 19 of the 20 that were read are wrong",
        ),
    ),
    Told(
        name="long_copy_cut",
        program="alloc a 8196\nwrite a 0 01010101\nread a 1 8192 -> r0\n",
        headers="policy: eager\n",
        says=(
            "bytes 1 to 3 came back with the values of bytes 8193 to 8195",
            "the device did not do what a call asked for",
            "with op 2 (read) cut to at most 8191 bytes (8192 in whole words), while 8192 bytes",
        ),
    ),
    Told(
        name="fault_raised_for_ever",
        program="alloc a 4\nwrite a 0 01010101\nsync\nsync\n",
        headers="device: simulated failed_maps=0\npolicy: eager\n",
        says=("op 2 (sync) raised MapFailed; op 3 (sync) raised MapFailed",),
    ),
    Told(
        name="fault_loses_everything",
        program="alloc a 8\nwrite a 1 01010101\nflush\nsync\ndispatch affine a 1,1 1x1x1\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "though the batch that failed wrote nothing of a",
            "the batch of that call held no command of an op and writes no buffer of the program",
            "op 1 (write a 1 01010101) wrote a last, and was submitted at call 7",
        ),
    ),
    Told(
        name="replay_heals_what_it_writes",
        program="alloc a 4\ndispatch affine a 1,1 1x1x1\nalloc b 4\nread a 0 4 -> r0\n"
        "capture g0 dispatch fold a,b 1 1x1x1; dispatch affine a 1,1 1x1x1\nreplay g0 * -\n"
        "read b 0 4 -> r1\n",
        headers="device: simulated failed_submits=0\npolicy: lazy\n",
        says=(
            "op 5 (replay g0 * -) used a, which was lost with the batch of op 1, and was accepted",
            "refused with DataLost; called outside the graph, its dispatch fold a,b 1 1x1x1 is",
        ),
    ),
    Told(
        name="batch_encoded_twice",
        program="alloc a 4\ncopy a 0 a 0 4\nwrite a 0 01010101\ndispatch affine a 1,1 1x1x1\n",
        headers="policy: eager batch_commands=None staged_write_bytes=4096\n",
        says=("a batch was encoded twice: the command encoder of call 9", "rule: law C5"),
    ),
    Told(
        name="last_buffer_found_by_size",
        program="alloc a 4\nalloc b 4\ncapture g0 dispatch affine a 1,1 1x1x1; "
        "dispatch mix a,a,b 1,1 1x1x1\nalloc c 4\nreplay g0 * b=c\nread c 0 4 -> r0\n",
        headers="policy: ring\n",
        says=("with c of 8 bytes; with plan_cache=0", "not with op 4's commands called plainly"),
    ),
    Told(
        name="compile_failure_kept",
        program="alloc a 8\nwrite a 1 01010101\nwrite a 0 01\n",
        headers="device: simulated internal_errors=0\npolicy: eager\n",
        says=(
            "op 2 (write a 0 01) raised DeviceFault, the failure of the compile in op 1",
            "the failure was kept",
        ),
    ),
    Told(
        name="bind_group_survives_free",
        program="alloc a 4\nwrite a 0 01010101\nsync\nwrite a 0 01010101\n",
        headers="policy: eager\n",
        says=(
            "buffer 3 is made a second time",
            "E3 is broken: 1 kept bind groups bind y, which is freed, and 0 were dropped",
        ),
    ),
    Told(
        name="named_scalars_by_place",
        program="alloc b 4\ndispatch many b 1,1,1,1,1,1,1,1,1,29.25,3,1 1x1x1\n",
        headers="policy: eager\nclient: mutating\n",
        says=(
            "its scalars as a dict by name, in another order than the kernel's: {f3: 1, f2: 3",
            "called plainly, not by client mutating",
        ),
    ),
    Told(
        name="sync_trusts_stale_tail",
        program=f"alloc a 260\nwrite a 0 {'01' * 260}\n",
        headers="policy: eager queued_write_bytes=256\n",
        says=(
            "no submit in between: 256 at call 2, 4 at call 3; the sync at the end makes no submit",
            "not with op 1 in two writes",
        ),
    ),
    Told(
        name="replay_half_done_stands",
        program="alloc a 8\nalloc c 8\nwrite a 0 0100000001000000\nwrite c 0 0100000002000000\n"
        "capture g0 dispatch exchange a,c 9 1x1x1; dispatch mix c,c,a 19,21 1x1x1; "
        "dispatch tally c 9 2x1x1\nreplay g0 * -\nread a 0 8 -> r0\nread c 0 8 -> r1\n",
        headers="device: simulated failed_encodes=2\npolicy: eager\n",
        says=(
            "op 5 (replay g0 * -) failed at the encode of call",
            "remains: op 6 (read a 0 8 -> r0) gave those bytes",
        ),
    ),
    Told(
        name="awaited_sync_forgets_fault",
        program="alloc a 4\nwrite a 0 -\nwrite a 0 -\ndispatch affine a 1,1 1x1x1\n"
        "dispatch affine a 1,1 1x1x1\n",
        headers="device: simulated failed_submits=0\npolicy: lazy\nclient: awaiting\n",
        says=(
            "a sync that client awaiting made in op 4 (dispatch affine a 1,1 1x1x1) met the failed "
            "submit of call 10 and ended in silence",
        ),
    ),
    Told(
        name="uniform_index_reset_early",
        program="alloc a 8\ndispatch affine a 1,1 1x1x1\n" + "write a 1 01010101\n" * 3,
        headers="policy: pooled uniform_slots=3\n",
        says=(
            "the pool of 3 uniform slots was full at op 4 (write a 1 01010101), with op 1",
            "no submit came before its slots were used again",
        ),
    ),
    Told(
        name="run_offsets_kept",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\n",
        headers="policy: ring uniform_ring_bytes=1\n",
        says=(
            "bound its uniforms at byte 256 of uniform buffer 2",
            "the payloads of its batch were written at bytes 0 to 255",
        ),
    ),
    Told(
        name="replay_keeps_grid",
        program="alloc a 4\nalloc b 12\nalloc c 12\nwrite c 0 010000000100000001000000\n"
        "capture g0 dispatch_indirect affine a 1,1 b 0\nreplay g0 * b=c\nread a 0 4 -> r0\n",
        headers="policy: eager\n",
        says=("was dispatched over the grid at byte 0 of b and asks for the grid at byte 0 of c",),
    ),
    Told(
        name="plan_key_lacks_kernel",
        program="alloc c 16\nalloc z 455\n",
        headers="policy: eager\nclient: misusing\n",
        says=(
            "the client made this call: at.runtime.dispatch(AFFINE.wgsl(), [at.x], (1, 2))",
            "in _key: return (tuple(binding.access for binding in kernel.buffers), grid, *buffers)",
        ),
    ),
    Told(
        name="adoption_asks_for_no_usage",
        program="alloc a 24\n",
        headers="policy: eager\nclient: sharing\n",
        says=(
            "a buffer without STORAGE usage is adopted, and is to be refused with",
            "adopted as well is one without COPY_SRC usage, one without COPY_DST usage, one "
            "without any of the three",
            "refused is one that is mapped",
        ),
    ),
)
