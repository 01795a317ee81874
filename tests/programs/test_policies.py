"""Drawn policies: half are the preset, the rest push its numbers to extremes."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusim.errors import ProgramError
from gpusim.limits import Limits
from gpusim.ops import Alloc, Capture, Write
from gpusim.runtime.policy import PRESETS, Policy, Uniforms, parse_policy
from properties.generate.cases import draw_case, draw_policy
from properties.generate.choices import DrawnChoices, SeededChoices
from properties.model.capabilities import capabilities_of
from properties.model.case import DeviceSpec
from reference import run

SIZES = ("uniform_slots", "uniform_cache", "bind_group_cache", "shape_cache")
ALLOWED: dict[str, set[object]] = {
    **{name: {1, 2, 3, 5} for name in SIZES},
    "batch_commands": {None, 0, 1, 2, 3, 7},
    "batch_bytes": {None, 0, 16, 256},
    "batch_groups": {None, 0, 2, 5, 16},
    "queued_write_bytes": {64, 258, 1 << 24},
    "wait_seconds": {None, 600},
    "staging_buffers": {0, 1, 2, 4},
    "first_batch": {None, 1, 2, 3, 7},
    "merge_passes": {False, True},
    "flush_on_conflict": {False, True},
    "staged_write_bytes": {0, 8, 64, 4096},
    "upload_bytes": {8, 16, 64, 256, 65_536},
    "staging_page_bytes": {16, 64, 512, 4096},
    "staging_class_bytes": {0, 64, 512, 1_048_576},
    "defer_frees": {False, True},
    "join_reads": {False, True},
    "uniform_ring_bytes": {1, 40, 256, 512},
    "plan_cache": {0, 1, 2, 5},
    "graph_cache": {0, 1, 2, 3},
    "cache_bind_groups": {False, True},
    "memory_budget_bytes": {None, 0, 256, 1024, 4096, 65_536},
    "debug_submit_each": {False, True},
    "uniforms": set(Uniforms),
}
FIXED = ("name", "debug_dispatch_limit")


def drawn(preset: Policy) -> list[Policy]:
    return [draw_policy(SeededChoices(f"policy {at}"), preset) for at in range(1000)]


PARTS = st.lists(st.sampled_from([*PRESETS, "no", "cache,", "a=1", " "]), max_size=3)


@given(st.text() | PARTS.map(" ".join), st.integers(0, 5000))
def test_a_policy_of_any_name_is_read_back_or_refused(name: str, number: int) -> None:
    try:
        policy = Policy(name=name, batch_commands=number, staging_buffers=number)
    except ProgramError:
        words = name.split()
        assert " ".join(words) != name or "=" in name or not words or words[0] in PRESETS
        return
    assert parse_policy(str(policy)) == policy


def test_three_of_eight_policies_are_the_preset() -> None:
    preset = PRESETS["cached"]
    assert 320 <= drawn(preset).count(preset) <= 430


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_what_makes_the_preset_is_kept(preset: Policy) -> None:
    for policy in drawn(preset):
        for name in FIXED:
            assert getattr(policy, name) == getattr(preset, name)


@pytest.mark.parametrize("name", ALLOWED)
def test_every_extreme_of_a_field_is_drawn(name: str) -> None:
    preset = PRESETS["pooled"]
    values = {getattr(policy, name) for policy in drawn(preset)}
    assert values == ALLOWED[name] | {getattr(preset, name)}


def test_every_field_is_drawn_or_kept_on_purpose() -> None:
    assert {field.name for field in fields(Policy)} == set(ALLOWED) | set(FIXED)


def test_simplest_choices_keep_the_preset() -> None:
    assert draw_policy(DrawnChoices(lambda low, high: low), PRESETS["lazy"]) == PRESETS["lazy"]


def test_of_programs_with_a_graph_some_have_a_policy_that_splits_its_replays() -> None:
    rings: dict[bool, list[bool]] = {True: [], False: []}
    for at in range(600):
        choices = SeededChoices(f"split {at}")
        case = draw_case(choices, preset=PRESETS["eager"], device=DeviceSpec(name="none"))
        graphs = [op for op in case.program if isinstance(op, Capture) and len(op.commands) > 1]
        rings[bool(graphs)].append(case.policy.uniforms is Uniforms.RING)
    assert sum(rings[True]) > len(rings[True]) / 8
    assert sum(rings[False]) < len(rings[False]) / 20


def test_program_of_a_case_knows_the_budget_of_its_policy() -> None:
    budgets = 0
    for at in range(300):
        case = draw_case(
            SeededChoices(f"case {at}"),
            preset=PRESETS["cached"],
            device=DeviceSpec(name="none"),
            promises=capabilities_of(refuses=False, replays=True),
        )
        budget = case.policy.memory_budget_bytes
        history = run(case.program, limits=Limits(memory_budget_bytes=budget))
        assert all(outcome.error is None for outcome in history.outcomes)
        budgets += budget is not None and any(isinstance(op, Alloc) for op in case.program)
    assert budgets >= 5


def test_no_write_of_a_case_takes_thousands_of_pieces() -> None:
    cases = [
        draw_case(
            SeededChoices(f"pieces {at}"), preset=PRESETS["ring"], device=DeviceSpec(name="x")
        )
        for at in range(300)
    ]
    pieces = [
        len(op.data) / case.policy.queued_write_bytes
        for case in cases
        for op in case.program
        if isinstance(op, Write) and case.policy.queued_write_bytes
    ]
    assert 4 < max(pieces) <= 256


def test_some_policies_hold_just_the_writes_of_their_program() -> None:
    just = counting = 0
    for at in range(1500):
        case = draw_case(
            SeededChoices(f"brim {at}"), preset=PRESETS["ring"], device=DeviceSpec(name="x")
        )
        most = case.policy.queued_write_bytes
        sizes = [len(op.data) for op in case.program if isinstance(op, Write) and op.data]
        runs = [sum(sizes[at:end]) for at in range(len(sizes)) for end in range(at + 2, at + 9)]
        if most is None or most in ALLOWED["queued_write_bytes"] or len(case.program) > 200:
            continue
        just += not {most, most + 1}.isdisjoint(runs)
        counting += min(sizes) < most // 4096
    assert just >= 10
    assert counting >= 2
