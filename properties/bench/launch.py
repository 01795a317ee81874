"""``bench launch``: what a dispatch from Python costs, and what a CUDA launch from Python costs.

The arms take turns in one process: the runtime's default policy, a replay, the floor (``bare.py``),
plain wgpu-py, and what ``cuda.py`` finds installed.  A round is ten blocks.  A block has one turn
of each arm, and ratios are taken within a block.  A goal is an upper limit for a time, or for the
ratio of two times.  The notes say which goals each round has reached.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from gpusim.runtime import PRESETS, Driver, driver_for
from properties.bench.arms import (
    Arm,
    Chain,
    check_same,
    plain_arm,
    replay_arm,
    runtime_arm,
    with_floor,
)
from properties.bench.cuda import cuda_arms
from properties.bench.dispatch import Timing, probe
from properties.bench.timing import BARE, Asked, Results, Row, Sample, rows_of

BLOCKS, ROUND = 10, ", round "
CHAINS = (
    Chain(name="dependent", dispatches=1000),
    Chain(name="independent", dispatches=1000, buffers=8),
)
_RING, _REPLAY, _CUPY = "ring", "replay", "cupy"
_CPU_FACTOR, _CPU_MORE_US = 1.15, 1.5
_LIMITS = ((_RING, _CUPY, 0.9), (_REPLAY, _CUPY, 0.5), (_REPLAY, BARE, 1.0))
"""The goals end to end: an arm, another arm, and the largest wanted ratio of their times."""

Blocks = Mapping[str, Sequence[Sample]]
"""The blocks of each arm, each as the median of its plays."""


def bench(asked: Asked) -> Results:
    """The rows of every chain and round."""
    device, rounds, tell = asked.device, asked.rounds, asked.tell
    driver = driver_for(device)
    tell("probing the adapter's speed")
    timing = Timing(driver, probe(driver), BLOCKS)
    rows: list[Row] = []
    notes: list[str] = []
    for chain in CHAINS:
        arms, missing = launch_arms(device, driver, chain)
        notes += [note for note in missing if note not in notes]
        for number in range(1, rounds + 1):
            name = f"{chain.name}{ROUND}{number}"
            tell(f"{name} of {rounds}: {', '.join(arms)}")
            blocks = blocks_of(timing.samples(arms), BLOCKS)
            check_same(name, arms)
            rows += paired_rows(name, blocks, chain.dispatches)
            notes += [f"{name}: {goal}" for goal in goals(blocks, chain.dispatches)]
        for arm in arms.values():
            arm.close()
    timing.close()
    return Results(rows=rows, notes=notes)


def launch_arms(device: Any, driver: Driver, chain: Chain) -> tuple[dict[str, Arm], list[str]]:
    """The arms of a chain, and why others are left out."""
    arms = {_RING: runtime_arm(driver, PRESETS[_RING], chain), _REPLAY: replay_arm(driver, chain)}
    arms |= with_floor(device, chain) | {"plain": plain_arm(device, chain)}
    foreign, missing = cuda_arms(chain)
    return arms | foreign, missing


def blocks_of(samples: Blocks, count: int) -> dict[str, list[Sample]]:
    """Cuts each arm's samples into ``count`` blocks.

    A block becomes one sample: for each of the four times, the median over its plays.
    """
    return {arm: [_middle(part) for part in _cut(taken, count)] for arm, taken in samples.items()}


def paired_rows(workload: str, blocks: Blocks, units: int) -> list[Row]:
    """Returns a row for each arm, with the least and the most time of its blocks.

    Its ratios to other arms are taken within each block; the row has their medians.
    """
    rows = rows_of(workload, blocks, units)
    each = 1e6 / units
    return [replace(row, ratio_to_bare=None, more=_figures(blocks, row.arm, each)) for row in rows]


def goals(blocks: Blocks, units: int) -> Iterator[str]:
    """Yields a line for each goal whose two arms took part: what was wanted and measured."""
    if _RING in blocks and BARE in blocks:
        each = 1e6 / units
        mine, floor = (
            median(one.cpu_seconds * each for one in blocks[arm]) for arm in (_RING, BARE)
        )
        most = _CPU_FACTOR * floor + _CPU_MORE_US
        yield (
            f"{_RING} computes {mine:.2f} us a dispatch, at most {most:.2f} are wanted "
            f"({_CPU_FACTOR} times {BARE}'s {floor:.2f} plus {_CPU_MORE_US}): {_met(mine <= most)}"
        )
    for arm, other, most in _LIMITS:
        if arm in blocks and other in blocks:
            found = paired(blocks, arm, other)
            wanted = f"at most {most} is wanted: {_met(found <= most)}"
            yield f"{arm} takes {found:.2f} of {other}'s time, {wanted}"


def paired(blocks: Blocks, arm: str, other: str) -> float:
    """The median, over the blocks, of one arm's time divided by another's."""
    pairs = zip(blocks[arm], blocks[other], strict=True)
    return median(mine.total_seconds / its.total_seconds for mine, its in pairs)


def _figures(blocks: Blocks, arm: str, each: float) -> dict[str, float]:
    totals = [one.total_seconds * each for one in blocks[arm]]
    figures = {
        "least_us": min(totals),
        "most_us": max(totals),
        "process_us": median(one.process_seconds * each for one in blocks[arm]),
    }
    for other in (BARE, _CUPY):
        if other in blocks:
            figures[f"paired_to_{other}"] = paired(blocks, arm, other)
    return figures


def _met(reached: bool) -> str:
    return "reached" if reached else "missed"


def _cut(samples: Sequence[Sample], count: int) -> list[Sequence[Sample]]:
    size = len(samples) // count
    return [samples[at : at + size] for at in range(0, size * count, size)]


def _middle(samples: Sequence[Sample]) -> Sample:
    return Sample(
        record_seconds=median(one.record_seconds for one in samples),
        cpu_seconds=median(one.cpu_seconds for one in samples),
        total_seconds=median(one.total_seconds for one in samples),
        process_seconds=median(one.process_seconds for one in samples),
    )
