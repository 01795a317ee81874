"""Small programs that show a mutant, and the words that must stand in the argument of each.

The words are chosen before the argument is made: the op that went wrong, what overtook what or
whose operand was used, and the rule.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A mutant, a program that shows it, and what its argument must say."""

    mutant: str
    program: str
    says: str
    """What stands in the first line."""
    rule: str
    policy: str = "eager"
    device: str = "simulated"
    lawful: bool = False
    """Whether only the laws show it."""


MISTAKES = (
    Mistake(
        mutant="write_overtakes_batch",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\nwrite a 0 01010101\nread a 0 4 -> r0\n"),
        says="op 2 (write a 0 01010101) overtook op 1 (dispatch affine a 1,1 1x1x1)",
        rule="law A2",
        policy="lazy",
    ),
    Mistake(
        mutant="conflict_misses_last_word",
        program=(
            "alloc a 4\n"
            "alloc b 12\n"
            "copy a 0 b 8 4\n"
            "write b 0 010101010101010101010101\n"
            "read b 8 4 -> r0\n"
        ),
        says="op 3 (write b 0 010101010101010101010101) overtook op 2 (copy a 0 b 8 4)",
        rule="law A4",
        policy="lazy flush_on_conflict=True",
    ),
    Mistake(
        mutant="conflict_sees_writers_only",
        program=("alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\n"),
        says="op 2 (write a 0 01010101) overtook op 1 (read a 0 4 -> r0)",
        rule="law A2",
        policy="lazy join_reads=True",
    ),
    Mistake(
        mutant="copy_only_flush_skipped",
        program=("alloc a 8\ncopy a 0 a 4 4\nwrite a 0 01010101\nread a 4 4 -> r0\n"),
        says="op 2 (write a 0 01010101) overtook op 1 (copy a 0 a 4 4)",
        rule="law A2",
        policy="lazy",
    ),
    Mistake(
        mutant="pad_clears_neighbours",
        program=("alloc a 4\nwrite a 0 01010101\nwrite a 0 01\nread a 0 4 -> r0\n"),
        says="op 2 (write a 0 01) was padded with zeros",
        rule="law A8",
    ),
    Mistake(
        mutant="copy_rounded_up",
        program=("alloc a 4\nalloc b 4\nwrite b 0 01010101\ncopy b 0 a 0 1\nread a 0 4 -> r0\n"),
        says="op 3 (copy b 0 a 0 1) was rounded up to 4 bytes",
        rule="law A5",
    ),
    Mistake(
        mutant="copy_within_in_halves",
        program=("alloc a 8\nwrite a 0 02fb7429\ncopy a 0 a 1 4\nread a 0 4 -> r0\n"),
        says="op 2 (copy a 0 a 1 4) went in pieces of 2 bytes",
        rule="contract, copy",
    ),
    Mistake(
        mutant="edges_from_shadow_copy",
        program=(
            "alloc a 8\n"
            "write a 0 0101010101010101\n"
            "dispatch affine a 1,1 1x1x1\n"
            "write a 1 01010101\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 3 (write a 1 01010101) put back the bytes beside it",
        rule="law A8",
    ),
    Mistake(
        mutant="numbers_wrap_around",
        program=(
            "alloc a 4\n"
            "alloc b 0\n"
            "alloc c 0\n"
            "alloc d 0\n"
            "alloc e 0\n"
            "alloc f 0\n"
            "alloc g 0\n"
            "alloc h 0\n"
            "alloc i 4\n"
            "dispatch fold a,i 1 1x1x1\n"
        ),
        says="op 8 (alloc i 4) was given the memory that op 0 made",
        rule="law E1",
    ),
    Mistake(
        mutant="bind_group_key_joined",
        program=(
            "alloc a 8\n"
            "dispatch affine a[0:4] 1,1 1x1x1\n"
            "dispatch affine a 1,1 1x1x1\n"
            "read a 4 4 -> r0\n"
        ),
        says="op 2 (dispatch affine a 1,1 1x1x1) bound a[0:4], as op 1 did",
        rule="law E5",
        policy="cached",
    ),
    Mistake(
        mutant="bind_group_key_lacks_kernel",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "read a 0 4 -> r0\n"
            "dispatch fold a,b 1 1x1x1\n"
            "dispatch exchange a,b 1 1x1x1\n"
        ),
        says="a dispatch of exchange has bind group 5, made for fold",
        rule="law E5",
        policy="ring",
    ),
    Mistake(
        mutant="bind_group_key_lacks_uniform",
        program=(
            "alloc a 4\n"
            "dispatch affine a 1,1 1x1x1\n"
            "dispatch affine a 2,1 1x1x1\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 2 (dispatch affine a 2,1 1x1x1) ran with the scalars of op 1",
        rule="law B1",
        policy="cached",
    ),
    Mistake(
        mutant="plan_key_lacks_kernel",
        program=(
            "alloc a 4\n"
            "dispatch affine a 1,1 1x1x1\n"
            "dispatch many a 1,1,1,1,1,1,1,1,1,1,1,1 1x1x1\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 2 (dispatch many a 1,1,1,1,1,1,1,1,1,1,1,1 1x1x1) ran kernel "
        "affine, which is that of op 1",
        rule="law E5",
        policy="ring",
    ),
    Mistake(
        mutant="plan_key_lacks_order",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "write b 0 01010101\n"
            "alloc c 4\n"
            "dispatch mix c,b,a 1,1 1x1x1\n"
            "dispatch mix a,b,c 1,1 1x1x1\n"
            "read a 0 4 -> r0\n"
        ),
        says="bound c,b,a, as op 4 did",
        rule="law E5",
        policy="ring",
    ),
    Mistake(
        mutant="evict_destroys_pending",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "capture g0 dispatch tally b 1 1x1x1; copy a 0 a 0 1; dispatch fold b,a 1 1x1x1; "
            "dispatch affine a 2,1 1x1x1\n"
            "replay g0 * -\n"
            "replay g0 3;2;_ -\n"
        ),
        says="was destroyed at op 4, before dispatch op 3, which uses it, was submitted",
        rule="law E6",
        policy="cached uniform_cache=5",
    ),
    Mistake(
        mutant="cached_uniform_rewritten",
        program=(
            "alloc a 4\n"
            "write a 0 01010101\n"
            "alloc b 4\n"
            "capture g0 dispatch tally b 1 1x1x1; copy a 0 a 0 1; copy a 1 a 0 1; dispatch "
            "fold b,a 1 1x1x1\n"
            "replay g0 * -\n"
            "dispatch affine a 1,1 1x1x1\n"
            "replay g0 2;2 -\n"
            "read a 0 4 -> r0\n"
        ),
        says="ran with the scalars of command 0 of op 6",
        rule="law B1",
        policy="cached uniform_cache=5",
    ),
    Mistake(
        mutant="ring_cursor_kept",
        program=(
            "alloc a 4\n"
            "dispatch affine a 1,1 1x1x1\n"
            "flush\n"
            "dispatch affine a 1,2 1x1x1\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 3 (dispatch affine a 1,2 1x1x1) ran with the scalars of op 1",
        rule="law B1",
        policy="ring",
    ),
    Mistake(
        mutant="fresh_uniform_destroyed_at_next",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch affine a 1,1 1x1x1\n"),
        says="was destroyed at op 2, before dispatch op 1",
        rule="law E6",
        policy="lazy",
    ),
    Mistake(
        mutant="free_before_flush",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\nfree a\nalloc b 4\nread b 0 4 -> r0\n"),
        says="a was destroyed before dispatch op 1, which uses it, was submitted",
        rule="law F6",
        policy="lazy join_reads=True",
    ),
    Mistake(
        mutant="copies_hoisted",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\n"),
        says="op 2 (read a 0 4 -> r0) overtook op 1 (dispatch affine a 1,1 1x1x1)",
        rule="law A1",
        policy="lazy",
    ),
    Mistake(
        mutant="read_misses_batch",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\nread a 0 4 -> r0\n"),
        says="op 2 (read a 0 4 -> r0) overtook op 1 (dispatch affine a 1,1 1x1x1)",
        rule="law A1",
        policy="lazy",
    ),
    Mistake(
        mutant="pass_keeps_first_group",
        program=(
            "alloc a 4\n"
            "dispatch affine a 1,1 1x1x1\n"
            "dispatch affine a 1,2 1x1x1\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 2 (dispatch affine a 1,2 1x1x1) ran with the scalars of op 1",
        rule="law B1",
        policy="eager batch_commands=None merge_passes=True",
    ),
    Mistake(
        mutant="large_staging_shared",
        program=(
            "alloc a 4100\n"
            "write a 0 01010101\n"
            "read a 0 4100 -> r0\n"
            "alloc b 4100\n"
            "read b 0 4100 -> r1\n"
        ),
        says="op 2 (read a 0 4100 -> r0) was given the bytes of op 4",
        rule="law D5",
        policy="ring",
    ),
    Mistake(
        mutant="fourth_read_of_page",
        program=(
            "alloc a 8\n"
            "write a 0 01010101\n"
            "read a 0 4 -> r0\n"
            "read a 0 4 -> r1\n"
            "read a 4 4 -> r2\n"
            "read a 0 4 -> r3\n"
        ),
        says="op 5 (read a 0 4 -> r3) was given the bytes of op 4",
        rule="law D5",
        policy="lazy join_reads=True",
    ),
    Mistake(
        mutant="read_returns_view",
        program=("alloc a 4\nread a 0 4 -> r0\nwrite a 0 01010101\nread a 0 4 -> r1\n"),
        says="op 1 (read a 0 4 -> r0) changed after it was delivered, as op 3",
        rule="contract, read",
    ),
    Mistake(
        mutant="reads_delivered_backwards",
        program=("alloc a 0\nread a 0 0 -> r0\nread a 0 0 -> r1\n"),
        says="r0 was read before r1, yet r1 was delivered first",
        rule="law D2",
    ),
    Mistake(
        mutant="read_offset_dropped",
        program=("alloc a 4\ndispatch affine a 1,1 1x1x1\nread a 1 1 -> r0\n"),
        says="op 2 (read a 1 1 -> r0) copied its bytes from an offset rounded down to 4",
        rule="law A11",
    ),
    Mistake(
        mutant="kept_scalars_of_replay_before",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "capture g0 dispatch affine b 1,1 1x1x1; dispatch fold b,a 1 1x1x1\n"
            "replay g0 _;2 -\n"
            "replay g0 * -\n"
            "read a 0 4 -> r0\n"
        ),
        says="ran with the scalars of command 1 of op 3",
        rule="law B1",
    ),
    Mistake(
        mutant="replay_keeps_old_bindings",
        program=(
            "alloc a 4\n"
            "capture g0 dispatch affine a 1,1 1x1x1\n"
            "replay g0 * -\n"
            "alloc b 4\n"
            "replay g0 * a=b\n"
            "read a 0 4 -> r0\n"
        ),
        says="command 0 of op 4 (dispatch affine b 1,1 1x1x1) bound a, as command 0 of op 2 did",
        rule="law E5",
    ),
    Mistake(
        mutant="empty_step_keeps_its_place",
        program=(
            "alloc a 4\n"
            "capture g0 dispatch tally a 1 1x0x1; dispatch tally a 1 2x1x1\n"
            "replay g0 2;_ -\n"
            "read a 0 4 -> r0\n"
        ),
        says="command 1 of op 2 (dispatch tally a 1 2x1x1) ran with the scalars of "
        "command 0 of op 2",
        rule="law B1",
        policy="ring",
    ),
    Mistake(
        mutant="part_from_the_start",
        program=("alloc a 100\ndispatch affine a[96:100] 1,1 1x1x1\nread a 0 4 -> r0\n"),
        says="op 1 (dispatch affine a[96:100] 1,1 1x1x1) bound bytes 0 to 3 of a",
        rule="contract, dispatch",
        device="simulated storage_offset_alignment_bytes=32",
    ),
    Mistake(
        mutant="part_touches_its_start",
        program=(
            "alloc a 36\n"
            "dispatch affine a[32:36] 1,1 1x1x1\n"
            "write a 32 01010101\n"
            "read a 32 4 -> r0\n"
        ),
        says="op 2 (write a 32 01010101) overtook op 1",
        rule="law A",
        policy="ring",
        device="simulated storage_offset_alignment_bytes=32",
    ),
    Mistake(
        mutant="grid_read_first",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "copy b 0 a 0 4\n"
            "alloc c 12\n"
            "write c 0 030000000400000002000000\n"
            "dispatch_indirect affine b 1,1 c 0\n"
            "read a 0 4 -> r0\n"
        ),
        says="op 5 (dispatch_indirect affine b 1,1 c 0) overtook op 2 (copy b 0 a 0 4)",
        rule="law C1",
        policy="lazy flush_on_conflict=True",
    ),
    Mistake(
        mutant="inputs_found_by_size",
        program=(
            "alloc a 4\n"
            "write a 0 01010101\n"
            "alloc b 4\n"
            "alloc c 4\n"
            "dispatch fold a,c 1 1x1x1\n"
            "dispatch fold b,c 1 1x1x1\n"
            "dispatch exchange b,c 1 1x1x1\n"
            "read b 0 4 -> r0\n"
        ),
        says="op 5 (dispatch fold b,c 1 1x1x1) bound a,c, as op 4 did",
        rule="law E5",
        policy="cached",
    ),
    Mistake(
        mutant="last_buffer_found_by_size",
        program=(
            "alloc a 4\n"
            "alloc b 4\n"
            "write b 0 01010101\n"
            "dispatch mix a,a,b 1,1 2x1x1\n"
            "alloc c 4\n"
            "dispatch mix a,a,c 1,1 2x1x1\n"
            "read b 0 4 -> r0\n"
        ),
        says="op 5 (dispatch mix a,a,c 1,1 2x1x1) bound a,a,b, as op 3 did",
        rule="law E5",
        policy="ring",
    ),
    Mistake(
        mutant="whole_copy_waits",
        program=(
            "alloc a 4\nalloc b 4\ncopy a 0 b 0 4\ndispatch affine a 1,1 1x1x1\nread b 0 4 -> r0\n"
        ),
        says="op 3 (dispatch affine a 1,1 1x1x1) overtook op 2 (copy a 0 b 0 4)",
        rule="law C1",
    ),
    Mistake(
        mutant="reuse_keeps_old_bytes",
        program=("alloc a 4\nwrite a 0 01010101\nfree a\nalloc b 4\nread b 0 4 -> r0\n"),
        says="op 3 (alloc b 4) began with the bytes of a, which op 2 freed",
        rule="law A12",
    ),
    Mistake(
        mutant="last_group_dropped",
        program=("alloc a 4\ndispatch tally a 1 17x1x1\nread a 0 4 -> r0\n"),
        says="op 1 (dispatch tally a 1 17x1x1) ran one group too few",
        rule="contract, dispatch",
    ),
    Mistake(
        mutant="map_before_work",
        program=("alloc a 4\nwrite a 0 01010101\nread a 0 4 -> r0\n"),
        says="op 2 (read a 0 4 -> r0) was given zeros",
        rule="law D1",
    ),
    Mistake(
        mutant="queue_write_jumps_queue",
        program=("alloc a 4\nwrite a 0 01010101\nwrite a 0 02020202\nread a 0 4 -> r0\n"),
        says="op 2 (write a 0 02020202) overtook op 1 (write a 0 01010101)",
        rule="law C1",
    ),
    Mistake(
        mutant="buffer_not_cleared",
        program=("alloc a 64\nread a 60 4 -> r0\n"),
        says="op 0 (alloc a 64) made a buffer that is not zero",
        rule="law A12",
    ),
    Mistake(
        mutant="limit_off_by_one",
        program=("alloc a 4\ncopy a 0 a 0 4\n"),
        says="a batch of 3 commands, where 2 is the limit",
        rule="law C4",
        policy="eager batch_commands=2",
        lawful=True,
    ),
    Mistake(
        mutant="refused_shape_counted",
        program="alloc a 4\ndispatch affine a 1,1 1x1x65536\n",
        says="shapes held",
        rule="law F3",
        lawful=True,
    ),
    Mistake(
        mutant="page_mapped_whole",
        program=("alloc a 4\nwrite a 0 01010101\n"),
        says="256 bytes of staging buffer 3 are mapped, of which 4 were copied to it",
        rule="law D5",
        lawful=True,
    ),
    Mistake(
        mutant="least_integer_lost",
        program=(
            "alloc a 4\ndispatch many a 2147483648,1,1,1,1,1,1,1,1,1,1,1 1x1x1\nread a 0 4 -> r0\n"
        ),
        says="ran with its scalar u0 as zero",
        rule="law B1",
        policy="ring",
    ),
    Mistake(
        mutant="budget_forgets_frees",
        program=("alloc a 4\nfree a\n"),
        says="live_bytes",
        rule="law F3",
    ),
    Mistake(
        mutant="refusal_names_newest",
        program=("alloc a 0\nalloc b 0\nfree a\nread a 0 0 -> r0\n"),
        says="the message of op 3 (read a 0 0 -> r0)",
        rule="contract, words",
    ),
    Mistake(
        mutant="peak_stays_low",
        program="alloc a 4\n",
        says="peak_bytes",
        rule="law F3",
    ),
)
"""At least two of each family of mistakes that programs alone show."""
