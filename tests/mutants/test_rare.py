"""The mutants that random programs seldom meet: a program written by hand shows each of them."""

from dataclasses import replace

import pytest

from gpusim.kernels import BUILTIN
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.model.case import PLAIN, Case, parse_device
from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.mutant import SOUND
from properties.mutants.oracles import REFERENCE

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
}
_RING = PRESETS["ring"]
POLICIES = {
    "budget_frees_twice": replace(_RING, memory_budget_bytes=64),
    "budget_of_one": replace(_RING, memory_budget_bytes=64),
    "run_bound_to_old_ring": replace(_RING, uniform_ring_bytes=32),
    "ring_offset_of_half_a_word": replace(_RING, batch_commands=None, first_batch=None),
    "bind_group_key_of_bytes": PRESETS["cached"],
}
"""Those that need another than the preset."""
DEVICES = {
    "run_bound_to_old_ring": "simulated uniform_offset_alignment_bytes=32",
    "failed_close_leaves_reads": "simulated failed_submits=1",
}
CLIENTS = {"failed_close_leaves_reads": "closing"}
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
