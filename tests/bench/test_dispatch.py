"""Every arm of a chain does the same work, and the floor is what it says."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpusim.errors import InternalError
from gpusim.runtime import Driver
from properties.bench import bare as bare_module
from properties.bench.arms import SPIN, Arm, Chain, check_same
from properties.bench.cuda import meant
from properties.bench.dispatch import (
    RATIOS,
    Speeds,
    arms_of,
    overlap_arms,
    overlaps,
    to_best_fixed,
)
from properties.bench.timing import BARE, Sample

CHAIN = Chain(name="chain", dispatches=12)
TURNING = Chain(name="turning", dispatches=12, buffers=5)
SPINNING = Chain(name="spin", dispatches=5, kernel=SPIN, turns=7, words=100)


def played(arms: dict[str, Arm], rounds: int) -> dict[str, Arm]:
    for arm in arms.values():
        for _ in range(rounds):
            arm()
    return arms


@pytest.mark.parametrize("chain", [CHAIN, SPINNING, TURNING], ids=lambda chain: chain.name)
def test_every_arm_computes_what_the_chain_means(
    bench_device: Any, bench_driver: Driver, chain: Chain
) -> None:
    arms = played(arms_of(bench_device, bench_driver, chain), rounds=2)
    assert {arm.words for arm in arms.values()} == {meant(chain, rounds=2)}
    for arm in arms.values():
        arm.close()


def test_the_arms_have_their_names(bench_device: Any, bench_driver: Driver) -> None:
    arms = list(arms_of(bench_device, bench_driver, CHAIN))
    expected = {"eager", "lazy", "pooled", "cached", "ring", "plain"}
    assert expected <= set(arms)
    assert (BARE in arms) == type(bench_device).__module__.startswith("wgpu.backends.wgpu_native")


def test_a_sample_ends_after_its_recording(bench_device: Any, bench_driver: Driver) -> None:
    for arm in arms_of(bench_device, bench_driver, CHAIN).values():
        sample = arm()
        assert 0 < sample.record_seconds <= sample.total_seconds
        arm.close()


def test_arms_that_differ_are_refused(bench_driver: Driver) -> None:
    arms = overlap_arms(bench_driver, CHAIN)
    played(arms, rounds=1)
    check_same(CHAIN.name, arms)
    arms["ring"]()
    with pytest.raises(InternalError, match="'ring' and 'eager' have different words"):
        check_same(CHAIN.name, arms)
    for arm in arms.values():
        arm.close()


def test_the_best_fixed_limit_is_compared_within_a_round() -> None:
    def taken(*seconds: float) -> list[Sample]:
        return [Sample(record_seconds=0, cpu_seconds=0, total_seconds=one) for one in seconds]

    samples = {"fixed 8": taken(4, 8, 20), "fixed 32": taken(2, 9, 10), "ring": taken(3, 9, 10)}
    assert to_best_fixed("ring", samples) == {"ratio_to_best_fixed": 0.75}
    assert to_best_fixed("ring", {"ring": taken(1)}) == {}


@pytest.mark.parametrize(
    "speeds",
    [
        Speeds(record_us=6, least_gpu_us=2, turn_us=0.01),
        Speeds(record_us=30, least_gpu_us=40, turn_us=0.2),
    ],
    ids=str,
)
def test_overlap_workloads_have_the_ratios_they_name(speeds: Speeds) -> None:
    chains = list(overlaps(speeds))
    assert [chain.name for chain in chains] == [f"overlap {ratio:g}" for ratio in RATIOS]
    for chain, ratio in zip(chains, RATIOS, strict=True):
        assert chain.turns is not None
        gpu_us = speeds.least_gpu_us + chain.turns * speeds.turn_us
        host_us = max(chain.caller_us + speeds.record_us, 20)
        assert gpu_us / host_us == pytest.approx(ratio, rel=0.01)


def test_the_floor_is_short_and_imports_nothing_of_ours() -> None:
    source = Path(str(bare_module.__file__)).read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = [
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    ours = {"gpusim", "properties", "reference"}
    assert imported
    assert not [name for name in imported if name.split(".")[0] in ours]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node):
            del node.body[0]
    assert len(ast.unparse(tree).splitlines()) - ast.unparse(tree).splitlines().count("") <= 40


def test_the_scalars_of_a_chain_change_with_every_dispatch() -> None:
    for column in list(zip(*CHAIN.scalars, strict=True)):
        assert len(set(column)) == CHAIN.dispatches
    assert {scalars[-1] for scalars in SPINNING.scalars} == {7}
    assert replace(SPINNING, words=65).groups == 2
