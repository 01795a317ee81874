"""What further programs leave out once a bug was found, and that this changes nothing else."""

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.program import Program
from properties.clients import FOREIGN_CLIENTS
from properties.generate.cases import CaseSettings, case_for
from properties.model.capabilities import CONTRACT, Capabilities, Refusal
from properties.model.case import NO_POLICY, PLAIN, Case, DeviceSpec
from properties.model.disturbance import Disturbance, parse_disturbance
from properties.model.refusals import refusals
from properties.shrink.avoid import (
    AGAIN_EVERY,
    CONDITION_AGAIN_EVERY,
    Avoided,
    avoidable,
    left_out,
    with_only,
    without,
)
from reference import run

LOOSE = Capabilities(
    write_size_bytes=1,
    copies_within=True,
    invalid_handle=Refusal.CONTAINED,
    out_of_range=Refusal.CONTAINED,
    survives_failed_maps=True,
    concurrent_syncs=True,
)


def case(
    text: str, client: str = PLAIN, disturbance: Disturbance | None = None, seed: str = "0/1"
) -> Case:
    return Case(
        program=Program.parse(text),
        policy=NO_POLICY,
        device=DeviceSpec(name="vulkan"),
        promises=LOOSE,
        client=client,
        disturbance=disturbance,
        seed=seed,
    )


TEXT = """alloc a 8
alloc b 8
write a 0 01
copy a 0 b 4 8
copy a 0 a 4 4
free b
free b
"""


@pytest.mark.parametrize(
    ("avoided", "gone"),
    [
        ({"odd write"}, "write a 0 01"),
        ({"copy within"}, "copy a 0 a 4 4"),
        ({"OutOfRange copy"}, "copy a 0 b 4 8"),
        ({"InvalidHandle"}, "free b"),
    ],
)
def test_only_what_is_avoided_goes(avoided: set[str], gone: str) -> None:
    kept = without(case(TEXT), frozenset(avoided), BUILTIN, Limits()).program
    assert len(kept) >= len(Program.parse(TEXT)) - 1
    assert str(kept).splitlines().count(gone) == TEXT.splitlines().count(gone) - 1


def test_a_client_and_the_faults_go_as_well() -> None:
    disturbed = parse_disturbance("seed=3 failed_maps=0")
    kept = without(
        case(TEXT, client="overlapping", disturbance=disturbed),
        frozenset({"overlapping", "failed_maps"}),
        BUILTIN,
        Limits(),
    )
    assert (kept.client, kept.disturbance) == (PLAIN, Disturbance(seed=3))


def test_a_refused_op_that_goes_changes_no_other() -> None:
    setting = CaseSettings(device="simulated", limits=Limits(), promises=CONTRACT)
    for number in range(60):
        drawn = case_for(1, number, setting)
        limits = drawn.limits(Limits())
        meant = run(drawn.program, BUILTIN, limits)
        sorts = {each.rpartition(" ")[0] for each in refusals(drawn.program, meant, meant, BUILTIN)}
        kept = without(drawn, frozenset(sorts), BUILTIN, limits)
        again = run(kept.program, BUILTIN, limits)
        assert again.outcomes == tuple(each for each in meant.outcomes if not each.error)


def test_a_word_that_no_program_can_do_without_is_not_avoided() -> None:
    words = ("value", "", "odd write", "command to write", "overlapping", PLAIN, "disturbed")
    assert avoidable(words, ()) == {"odd write", "overlapping"}
    assert "overlapping" in FOREIGN_CLIENTS


def test_a_bug_of_a_client_and_faults_leaves_out_both_together_only() -> None:
    both = avoidable(("value", "", "overlapping", "disturbed", "failed_maps"), ())
    assert both == {"overlapping with failed_maps"}
    disturbed = parse_disturbance("seed=3 failed_maps=0")
    kept = without(case(TEXT, "overlapping", disturbed), both, BUILTIN, Limits())
    assert (kept.client, kept.disturbance) == (PLAIN, disturbed)
    for each in (case(TEXT, "overlapping"), case(TEXT, "spoiling", disturbed)):
        assert without(each, both, BUILTIN, Limits()) == each


@pytest.mark.parametrize(
    ("needs", "left"),
    [
        ({"odd write"}, ["write a 0 01"]),
        ({"copy within"}, ["copy a 0 a 4 4", "write a 0 01202020"]),
        ({"OutOfRange copy"}, ["copy a 0 b 4 8", "write a 0 01202020"]),
        ({"InvalidHandle"}, ["free b", "write a 0 01202020"]),
    ],
)
def test_only_what_a_bug_needs_stays(needs: set[str], left: list[str]) -> None:
    disturbed = parse_disturbance("seed=3 failed_maps=0")
    bare = with_only(case(TEXT, "spoiling", disturbed), frozenset(needs), BUILTIN, Limits())
    always = ["alloc a 8", "alloc b 8", "free b"]
    assert sorted(str(bare.program).splitlines()) == sorted([*always, *left])
    assert (bare.client, bare.injected) == (PLAIN, frozenset())


def test_what_a_bug_needs_beside_its_ops_stays() -> None:
    disturbed = parse_disturbance("seed=3 failed_maps=0")
    needs = frozenset({"overlapping with failed_maps"})
    bare = with_only(case(TEXT, "overlapping", disturbed), needs, BUILTIN, Limits())
    assert bare.client == "overlapping"
    assert bare.injected == {"failed_maps"}


@pytest.mark.parametrize(
    ("refused", "avoided"),
    [
        ("OutOfRange copy accepted", "OutOfRange copy"),
        ("InvalidHandle free accepted", "InvalidHandle"),
        ("InvalidHandle dispatch raised", "InvalidHandle dispatch"),
        ("InvalidBinding dispatch twice accepted", "InvalidBinding dispatch twice"),
    ],
)
def test_the_sort_of_a_harmful_op_is_avoided(refused: str, avoided: str) -> None:
    assert avoidable((), {refused}) == {avoided}


def test_a_few_programs_have_everything_again() -> None:
    avoided: Avoided = frozenset({"odd write"})
    seeds = [f"1/{number}" for number in range(10 * AGAIN_EVERY)]
    again = [seed for seed in seeds if not left_out(case(TEXT, seed=seed), avoided)]
    assert 0 < len(again) < 30
    assert not left_out(case(TEXT), frozenset())


def test_a_client_and_faults_come_back_more_often() -> None:
    avoided: Avoided = frozenset({"odd write", "overlapping"})
    seeds = [f"1/{number}" for number in range(100 * CONDITION_AGAIN_EVERY)]
    gone = [left_out(case(TEXT, seed=seed), avoided) for seed in seeds]
    assert 50 < gone.count(frozenset({"odd write"})) < 150
    assert gone.count(avoided) > 250
