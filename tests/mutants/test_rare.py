"""The mutants that random programs seldom meet: a program written by hand shows each of them."""

from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.model.case import PLAIN, Case, parse_device
from properties.model.failure import FailureKind
from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.mutant import SOUND
from properties.mutants.oracles import REFERENCE, factory_of
from properties.oracles.judge import judge

_THREE = "; ".join(["dispatch affine a 3,5 1x1x1"] * 3)
_SCALARS = "1,2,3,4,1,2,3,4,1.0,1.0,1.0"
_HEALING = (
    "alloc a 64\nalloc b 64\nalloc c 64\n"
    "capture g copy b 0 a 0 64; dispatch tally c 3 1x1x1\n"
    "dispatch affine a 3,5 1x1x1\nflush\nreplay g * -\nread a 0 64 -> r0\n"
)
PROGRAMS = {
    "staged_write_untouched": (
        "alloc a 64\nalloc b 64\ncopy b 0 a 0 4\n"
        f"write a 0 {'11' * 16}\nwrite a 8 22222222\nread a 0 64 -> r0\n"
    ),
    "conflict_misses_last_word": (
        f"alloc a 64\nalloc b 64\ncopy b 0 a 12 4\nwrite a 0 {'11' * 16}\nread a 0 64 -> r0\n"
    ),
    "budget_frees_twice": "alloc a 32\nalloc b 32\nfree a\nread a 0 4 -> r0\nalloc c 64\n",
    "budget_of_one": "alloc a 32\nalloc b 64\n",
    "shape_key_lacks_kernel": (
        "alloc a 64\ndispatch tally a 3 65536x1x1\ndispatch affine a 3,5 65536x1x1\n"
    ),
    "plan_survives_free": (
        "alloc a 64\ndispatch affine a 3,5 1x1x1\nfree a\ndispatch affine a 3,5 1x1x1\n"
    ),
    "plan_key_product": ("alloc a 64\ndispatch affine a 3,5 1x1x1\ndispatch affine a 3,5 -1x1x1\n"),
    "run_bound_to_old_ring": (
        "alloc a 64\ncapture g dispatch affine a 3,5 1x1x1\nreplay g * -\n"
        "dispatch many a 1,2,3,4,1,2,3,4,1.0,2.0,3.0,4.0 1x1x1\nreplay g * -\nread a 0 64 -> r0\n"
    ),
    "ring_offset_of_half_a_word": (
        "alloc a 64\nalloc b 64\n"
        + "".join(f"dispatch affine {b} {n},5 1x1x1\n" for n in range(150) for b in "ab")
        + "read a 0 64 -> r0\nread b 0 64 -> r1\n"
    ),
    "bind_group_key_of_bytes": (
        "alloc a 64\n"
        + "".join(f"dispatch affine a {2 * n + 1},5 1x1x1\n" for n in range(200))
        + "read a 0 64 -> r0\n"
    ),
    "failed_close_leaves_reads": (
        "alloc a 64\nread a 0 64 -> r0\nflush\ndispatch affine a 3,5 1x1x1\n"
    ),
    "run_replaces_what_is_touched": (
        "alloc a 512\ncapture g dispatch affine a[256:260] 3,5 1x1x1\n"
        "dispatch affine a 3,5 1x1x1\nreplay g * -\nwrite a 0 11111111\nread a 0 4 -> r0\n"
    ),
    "part_of_a_run_found_by_its_start": (
        f"alloc a 64\nalloc b 64\nalloc c 64\ncapture g {_THREE}\nreplay g * -\nflush\n"
        "copy b 0 c 0 64\ncopy b 0 c 0 64\nreplay g * -\nread a 0 64 -> r0\n"
    ),
    "run_aligned_as_storage": (
        f"alloc a 64\ncapture g {_THREE}\nreplay g * -\nread a 0 64 -> r0\n"
    ),
    "negative_zero_loses_its_sign": (
        f"alloc a 64\ncapture g dispatch many a {_SCALARS},1.0 1x1x1\n"
        f"replay g {_SCALARS},-0.0 -\nread a 0 64 -> r0\n"
    ),
    "finite_by_own_place": (
        f"alloc a 64\ncapture g dispatch many a {_SCALARS},1.0 1x1x1; "
        f"dispatch many a {_SCALARS},1.0 1x1x1\n"
        f"replay g * -\nreplay g _;{_SCALARS},inf -\n"
    ),
    "graph_key_is_address": (
        "alloc a 64\ncapture g dispatch affine a 3,5 1x1x1\ncapture h dispatch tally a 7 1x1x1\n"
        "replay g * -\nreplay g * -\nreplay h * -\nreplay h * -\nread a 0 64 -> r0\n"
    ),
    "heals_before_recording": _HEALING,
    "rollback_forgets_loss": _HEALING,
    "healed_by_words": (
        "alloc a 10\ndispatch affine a 3,5 1x1x1\nflush\nwrite a 2 1111111111111111\n"
        "read a 0 10 -> r0\n"
    ),
    "maps_stop_at_failure": "alloc a 64\nread a 0 64 -> r0\nread a 0 64 -> r1\n",
    "late_sync_hides_its_fault": (
        "alloc a 64\nread a 0 64 -> r0\nflush\ndispatch affine a 3,5 1x1x1\nsync\n"
    ),
    "nothing_left_to_tell": "alloc a 64\n",
}
_RING = PRESETS["ring"]
POLICIES = {
    "budget_frees_twice": replace(_RING, memory_budget_bytes=64),
    "budget_of_one": replace(_RING, memory_budget_bytes=64),
    "run_bound_to_old_ring": replace(_RING, uniform_ring_bytes=32),
    "ring_offset_of_half_a_word": replace(_RING, batch_commands=None, first_batch=None),
    "bind_group_key_of_bytes": PRESETS["cached"],
    "part_of_a_run_found_by_its_start": replace(_RING, batch_commands=4),
    "rollback_forgets_loss": PRESETS["pooled"],
    "maps_stop_at_failure": replace(_RING, staging_page_bytes=64),
}
"""Those that need another than the preset."""
DEVICES = {
    "run_bound_to_old_ring": "simulated uniform_offset_alignment_bytes=32",
    "failed_close_leaves_reads": "simulated failed_submits=1",
    "run_aligned_as_storage": (
        "simulated storage_offset_alignment_bytes=32 uniform_offset_alignment_bytes=64"
    ),
    "heals_before_recording": "simulated failed_submits=0 failed_bind_groups=1",
    "rollback_forgets_loss": "simulated failed_submits=0 failed_bind_groups=1",
    "healed_by_words": "simulated failed_submits=0",
    "maps_stop_at_failure": "simulated refused_maps=0",
    "late_sync_hides_its_fault": "simulated failed_submits=1",
}
CLIENTS = {
    "failed_close_leaves_reads": "closing",
    "graph_key_is_address": "dropping",
    "late_sync_hides_its_fault": "dropping",
}
NOT_BY_HAND = ("bind_group_key_joined", "bind_group_key_of_three", "ring_not_rewritten_when_alike")
"""They hang on device numbers or on whole batches; random programs find them in the end."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_by_hand_shows_it(name: str) -> None:
    device = DEVICES.get(name, "simulated")
    case = Case(
        program=Program.parse(PROGRAMS[name]),
        policy=POLICIES.get(name, _RING),
        device=parse_device(device),
        client=CLIENTS.get(name, PLAIN),
    )
    assert REFERENCE.open(find(name), device, BUILTIN)(case) is not None
    assert REFERENCE.open(SOUND, device, BUILTIN)(case) is None


def test_every_rare_mutant_is_shown() -> None:
    rare = [mutant.name for mutant in MUTANTS if mutant.rare]
    assert [name for name in rare if name not in (*PROGRAMS, *NOT_BY_HAND)] == []


def test_a_scalar_that_was_to_be_refused_is_found_by_its_op_with_all_laws_asked() -> None:
    text = (
        "alloc a 64\nalloc b 64\n"
        "capture g dispatch blend a,b 0.5 1x1x1; dispatch blend a,b 0.5 1x1x1\n"
        "replay g * -\nreplay g _;inf -\n"
    )
    case = Case(program=Program.parse(text), policy=_RING, device=parse_device("simulated"))
    found = judge(case, factory_of(find("finite_by_own_place"), "simulated", BUILTIN))
    assert found.failure is not None
    assert (found.failure.position, found.failure.kind) == (4, FailureKind.ERROR)
