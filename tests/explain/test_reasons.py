"""Reasons: one thing is varied, or followed from hop to hop, and the lines say which one it was."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gpusim.kernels import BUILTIN
from properties.explain.argument import MOST_LINES, Argument, said_shortly
from properties.explain.explain import explain
from properties.finding_file import read
from properties.fuzz.loading import load_target
from properties.mutants.mistakes import find
from properties.mutants.oracles import factory_of
from properties.oracles.cost import count_cost
from properties.oracles.judge import judge


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A mistake, a program that shows it, and what must stand in the lines."""

    name: str
    program: str
    says: tuple[str, ...]
    headers: str = ""
    is_foreign: bool = False


COLUMNS = "090000000a0000000b0000000c0000000d0000000e0000000f00000010000000"
"""Words of which the mutating client makes an array in Fortran's order."""
TOLD = (
    Told(
        name="two_streams_one_encoder",
        program="alloc a 4\ncapture g0 dispatch affine a 1,1 1x1x1; dispatch affine a 1,1 1x1x1\n"
        "replay g0 * -\nread a 0 4 -> r0\n",
        headers="policy: eager batch_commands=None\n",
        says=(
            "they were issued as op 2 command 0, op 2 command 1, op 3, and stand in it as "
            "op 2 command 0, op 3, op 2 command 1; so the batch was put in another order",
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
            "with at most 16 bytes in op 2 (read; 17 fail, 20 in whole words)",
            "with 01010101 for ffffffff in op 1",
        ),
    ),
    Told(
        name="long_copy_cut",
        program="alloc a 8196\nwrite a 0 01010101\nread a 1 8192 -> r0\n",
        headers="policy: eager\n",
        says=(
            "bytes 1 to 3 came back as those of bytes 8193 to 8195",
            "the device did not do what a call asked for",
            "with at most 8191 bytes in op 2 (read, 8192 in whole words; 8192 fail, 8196 in",
        ),
    ),
    Told(
        name="fault_loses_everything",
        program="alloc a 8\nwrite a 1 01010101\nflush\nsync\ndispatch affine a 1,1 1x1x1\n",
        headers="device: simulated failed_submits=1\npolicy: eager\n",
        says=(
            "though the batch that failed wrote nothing of a",
            "its batch held no command of an op and writes no buffer of the program",
            "op 1 (write a 1 01010101) wrote it last, and was submitted at call 7",
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
            "refused with DataLost, as its dispatch fold a,b 1 1x1x1 is where it is called plainly",
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
            "E3 is broken: 1 kept bind groups bind y, which is freed, and 0 of them were dropped",
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
            "stands: op 6 (read a 0 8 -> r0) gave those bytes",
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
        program="alloc c 16\nalloc d 280\n",
        headers="policy: eager\nclient: misusing\n",
        says=(
            "the client made this call: at.runtime.dispatch(AFFINE.wgsl(), [at.x], (1, 2))",
            "in _key: return (tuple(binding.access for binding in kernel.buffers), grid, *buffers)",
        ),
    ),
    Told(
        name="adoption_asks_for_no_usage",
        program="alloc a 4\n",
        headers="policy: eager\nclient: sharing\n",
        says=("a buffer without STORAGE usage is adopted, and is to be refused with",),
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
        name="Counted",
        is_foreign=True,
        program="alloc a 4\nread a 0 4 -> r0\nread a 0 4 -> r1\n",
        headers="promises: webgpu orders_deliveries=no\n",
        says=(
            "relies on the order in which maps settle: the last sync ended with RuntimeError",
            "so op 2 (read a 0 4 -> r1) ended with AssertionError",
            "a staging buffer was read before its own map had settled",
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
            "took along what was recorded before it: op 4 (read a 0 4 -> r0) was given zeros",
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
            "zeros, and neither it nor a sync raised an error",
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
)
_CONTRACT = "promises: contract replays=yes indirect=yes parts=yes\n"


def argument_of(told: Told, folder: Path) -> Argument:
    """The argument of a mistake on its program, which is read as a finding is."""
    headers = told.headers
    headers = headers if "device:" in headers else f"device: simulated\n{headers}"
    headers = headers if "promises:" in headers else f"{_CONTRACT}{headers}"
    target = "own" if told.is_foreign else "runtime"
    text = f"gpusim finding 2\ntarget: {target}\n{headers}seed: 1/1\nsummary: s\n\n{told.program}"
    file = folder / "finding.txt"
    file.write_text(text, encoding="utf-8")
    case = read(file).case
    if told.is_foreign:
        factory = load_target(f"tests.layer.hidden:{told.name}")("simulated", BUILTIN)
    else:
        factory = factory_of(find(told.name), "simulated", BUILTIN)
    return explain(judge(case, factory), lambda each: judge(each, factory))


@pytest.mark.parametrize("told", TOLD, ids=lambda told: told.name)
def test_the_lines_give_the_reason(told: Told, tmp_path: Path) -> None:
    lines = argument_of(told, tmp_path).lines
    assert len(lines) <= MOST_LINES
    text = "\n".join(lines)
    assert [said for said in told.says if said not in text] == [], text


def test_what_costs_too_much_is_named_with_what_n_counts(tmp_path: Path) -> None:
    told = Told(
        name="every_buffer_searched", program="alloc a 0\nalloc b 0\nwrite b 0 -\n", says=()
    )
    factory = factory_of(find(told.name), "simulated", BUILTIN)
    file = tmp_path / "finding.txt"
    file.write_text(
        f"gpusim finding 2\ntarget: runtime\n{_CONTRACT}device: simulated\npolicy: eager\n"
        f"seed: 1/1\nsummary: s\n\n{told.program}",
        encoding="utf-8",
    )
    failure = count_cost(read(file).case, factory)
    assert failure is not None
    where, first, second = failure.notes
    assert where.startswith("most of it in the function device_buffer: ")
    assert first.startswith("more live buffers alone make an op cost more: with 4, 8, 16, ")
    assert second.startswith("more ops on one buffer alone do not make an op cost more: ")


def test_a_long_message_keeps_its_last_reason_and_loses_its_guess() -> None:
    message = (
        "OutOfMemory: cannot bind buffers for gpusim_copy_bytes because the device refused: cannot "
        "create this bind group because binding 1 starts at 4 (probably by mistake)"
    )
    assert said_shortly(message) == "OutOfMemory: binding 1 starts at 4"
