"""Mutants: each is one mistake that is described, sound parts pass, and what is found replays."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.errors import ProgramError
from gpusim.kernels import BUILTIN
from properties.mutants.hunt import Budget, Programs, hunt, hunt_planted, plant, replays
from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracles import ORACLES, oracles_for

FIELD = (
    "write_overtakes_batch",
    "read_misses_batch",
    "free_before_flush",
    "uniform_shared",
    "uniform_recycled_at_dispatch",
    "uniform_index_reset_early",
    "ring_wraps_over_pending",
    "pool_waits_for_itself",
    "sync_forgets_read",
    "sync_trusts_stale_tail",
    "evict_destroys_pending",
    "evict_flushes_inside_pass",
    "bind_group_key_lacks_kernel",
    "bind_group_key_joined",
    "bind_group_survives_free",
    "pad_clears_neighbours",
    "pad_loses_data",
    "staging_reused_too_soon",
    "staging_maps_whole",
    "failed_map_recycled",
    "read_returns_view",
    "bad_copy_poisons_batch",
    "bad_dispatch_leaves_pass_open",
    "flush_keeps_dead_encoder",
    "copy_only_flush_skipped",
    "read_after_error_returns_bytes",
    "pool_key_lacks_usage",
    "reuse_keeps_old_bytes",
    "write_rounded_up",
    "limit_zero_means_never",
    "grid_runs_one_more",
    "shape_cache_disposes_held",
    "stale_handle_finds_new_buffer",
    "replay_keeps_old_bindings",
    "free_while_read_pending",
    "two_streams_one_encoder",
)
FEW = Budget(programs=100, seconds=math.inf, shrink_seconds=math.inf)
"""Programs are counted and seconds are not, so that a busy machine changes nothing."""


@pytest.fixture(scope="module")
def made() -> Programs:
    return Programs()


def test_every_bug_of_the_field_has_its_mutant_with_its_origin() -> None:
    assert [name for name in FIELD if not find(name).origin] == []


def test_names_are_told_once_and_descriptions_are_sentences() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)
    for mutant in MUTANTS:
        assert mutant.description.endswith("."), mutant.name
        assert mutant.place, mutant.name


def test_a_mutant_differs_from_the_sound_one_in_what_it_replaces() -> None:
    for mutant in MUTANTS:
        seams = ("parts", "make_driver", "make_runtime", "reference")
        assert any(getattr(mutant, seam) is not getattr(SOUND, seam) for seam in seams)


def test_every_oracle_passes_what_is_sound(made: Programs) -> None:
    for oracle in ORACLES:
        found = hunt(SOUND, oracle, 3, replace(FEW, programs=12), made)
        assert found.failure is None, oracle.name


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ProgramError, match="none has that name"):
        find("uniform_shard")


@pytest.mark.parametrize(
    "name",
    [
        "uniform_shared",
        "write_overtakes_batch",
        "pad_clears_neighbours",
        "read_returns_view",
        "limit_zero_means_never",
        "sync_trusts_stale_tail",
        "failed_read_gives_zeros",
        "sync_stops_at_fault",
        "forward_copy",
    ],
)
def test_a_mutant_is_found_made_small_and_replays(
    name: str, made: Programs, tmp_path: Path
) -> None:
    mutant = find(name)
    oracle = oracles_for(mutant)[0]
    found = hunt(mutant, oracle, 1, FEW, made)
    assert found.killed
    assert found.shrunk_ops is not None
    assert found.shrunk_ops <= 12
    if mutant.reference is SOUND.reference:
        assert replays(found, mutant, oracle, tmp_path)


def planted_mutants(hard: bool) -> list[Mutant]:
    return [plant(seed, hard=hard) for seed in range(200)]


def test_the_planted_mutant_follows_from_the_seed_and_is_often_a_hard_one() -> None:
    assert plant(7) is plant(7)
    drawn = planted_mutants(hard=True)
    assert sum(mutant.hard for mutant in drawn) > 200 * 0.2
    assert not any(mutant.hard for mutant in planted_mutants(hard=False))
    assert {mutant.found_by for mutant in drawn} <= {"reference", "laws"}


def test_the_planted_mutant_is_found_and_each_program_is_told() -> None:
    ticks = []
    planted = hunt_planted(5, BUILTIN, hard=False, tick=lambda: ticks.append(1))
    assert planted.found
    assert planted.programs == len(ticks)
