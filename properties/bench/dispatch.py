"""``bench dispatch``: what a small dispatch costs with each policy, and without the runtime.

Three questions.  What does a chain of small dispatches cost?  Does the policy matter if the GPU is
the bottleneck (it should not)?  Are batches that grow while the GPU is busy as good as the best
fixed size?
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from gpusim.runtime import PRESETS, Driver, driver_for
from properties.bench.arms import (
    SPIN,
    Arm,
    Chain,
    check_same,
    plain_arm,
    play_for,
    replay_arm,
    runtime_arm,
    with_floor,
)
from properties.bench.cuda import cuda_arms
from properties.bench.timing import Asked, Results, Row, Sample, interleave, rows_of

RATIOS = (0.1, 1.0, 10.0)
"""GPU time divided by host time of a dispatch, in the overlap workloads."""
FIXED_LIMITS = (8, 32, 64, 128, 256, 512, 1024, None)
_CHAIN = Chain(name="chain", dispatches=1000)
_BOUND_DISPATCHES = 20
_BOUND_FACTOR = 4.0
"""GPU time of a dispatch of the GPU-bound chain, divided by the time that a dispatch of ``_CHAIN``
takes in the slowest arm."""
_OVERLAP_DISPATCHES = 1000
_WAKE_SECONDS, _TURN = 0.1, 3
_LEAST_HOST_US = 20.0
"""The least host time of a dispatch in the overlap workloads, recording included."""
_PROBE_US, _MOST_PROBES, _STEADY = 200.0, 20, 0.03
"""The least GPU time of a probe's dispatch, in microseconds; the most probes; the share by which
two probes in a row may differ."""
_PROBE = Chain(name="probe", dispatches=200, kernel=SPIN, turns=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speeds:
    """Times of a dispatch on this machine, in microseconds."""

    record_us: float
    """CPU time of the host for recording one."""
    least_gpu_us: float
    """GPU time of one with next to no work."""
    turn_us: float
    """GPU time of each further turn of ``SPIN``."""

    def turns(self, gpu_us: float) -> int:
        """Turns that make the GPU work for ``gpu_us``, at least 1."""
        return max(1, round((gpu_us - self.least_gpu_us) / self.turn_us))


def bench(asked: Asked) -> Results:
    """The rows of every workload."""
    device, tell = asked.device, asked.tell
    driver = driver_for(device)
    tell("probing the adapter's speed")
    speeds = probe(driver)
    timing = Timing(driver, speeds, asked.rounds)
    tell("chain of 1,000 dependent dispatches")
    foreign, missing = cuda_arms(_CHAIN)
    rows = timing.rows(_CHAIN, arms_of(device, driver, _CHAIN) | foreign)
    slowest_us = max(row.median_us for row in rows)
    bound = Chain(
        name="gpu-bound",
        dispatches=_BOUND_DISPATCHES,
        kernel=SPIN,
        turns=speeds.turns(_BOUND_FACTOR * slowest_us),
    )
    tell(f"GPU-bound control, {bound.turns} turns a dispatch")
    rows += timing.rows(bound, arms_of(device, driver, bound))
    known = replace(_CHAIN, name="chain by limit"), replace(bound, name="gpu-bound by limit")
    for chain in (*known, *overlaps(speeds)):
        tell(f"{chain.name}: {chain.turns or 0} turns, {chain.caller_us:.0f} us of the caller")
        rows += timing.rows(chain, overlap_arms(driver, chain))
    timing.close()
    return Results(rows=rows, notes=missing)


class Timing:
    """Times the arms of a chain, which take turns.

    The GPU works on something else before every turn.  Otherwise its clocks fall while an
    arm leaves it idle, and a chain of small dispatches is too short to raise them.  The first
    play of a turn does not count: the host's caches still hold another arm's data.
    """

    def __init__(self, driver: Driver, speeds: Speeds, rounds: int) -> None:
        spin = replace(_PROBE, dispatches=20, turns=speeds.turns(_PROBE_US))
        self._spin = runtime_arm(driver, PRESETS["ring"], spin)
        self._rounds = rounds

    def rows(self, chain: Chain, arms: Mapping[str, Arm]) -> list[Row]:
        """Time the arms of a chain, and close them.  Returns the rows."""
        samples = self.samples(arms)
        check_same(chain.name, arms)
        for arm in arms.values():
            arm.close()
        rows = rows_of(chain.name, samples, chain.dispatches)
        return [replace(row, more=to_best_fixed(row.arm, samples)) for row in rows]

    def samples(self, arms: Mapping[str, Arm]) -> dict[str, list[Sample]]:
        """The samples of each arm: in every round a turn, of which three plays count."""
        return interleave(arms, self._rounds, turn=_TURN, settle=1, before=self._wake)

    def close(self) -> None:
        """Free the buffers that the GPU works on before each turn."""
        self._spin.close()

    def _wake(self) -> None:
        play_for(_WAKE_SECONDS, self._spin)


def probe(driver: Driver) -> Speeds:
    """Measures the times of a dispatch on this machine, with few and with many turns of ``SPIN``.

    An idle GPU is several times slower until its clocks have risen.  So the probe with many turns
    is repeated until two results in a row agree.
    """
    turns, longer = 64, 0.0
    while longer < _PROBE_US and turns < 1 << 22:
        turns *= 4
        _, longer = _probe(driver, replace(_PROBE, turns=turns))
    for _ in range(_MOST_PROBES):
        before = longer
        _, longer = _probe(driver, replace(_PROBE, turns=turns))
        if abs(longer - before) < _STEADY * before:
            break
    record, least = _probe(driver, _PROBE)
    return Speeds(record_us=record, least_gpu_us=least, turn_us=(longer - least) / turns)


def overlaps(speeds: Speeds) -> Iterator[Chain]:
    """Yields a chain for each of ``RATIOS``.

    The ratio fixes the host time of a dispatch.  If recording takes less, the caller computes for
    the rest.
    """
    for ratio in RATIOS:
        host_us = max(_LEAST_HOST_US, speeds.record_us, speeds.least_gpu_us / ratio)
        yield Chain(
            name=f"overlap {ratio:g}",
            dispatches=_OVERLAP_DISPATCHES,
            kernel=SPIN,
            turns=speeds.turns(host_us * ratio),
            caller_us=max(0.0, host_us - speeds.record_us),
        )


def overlap_arms(driver: Driver, chain: Chain) -> dict[str, Arm]:
    """The policy ``eager``; ``ring`` with each of ``FIXED_LIMITS``; ``ring``, whose limit grows."""
    ring = PRESETS["ring"]
    arms = {"eager": runtime_arm(driver, PRESETS["eager"], chain)}
    for limit in FIXED_LIMITS:
        policy = replace(ring, name="fixed", batch_commands=limit, first_batch=None)
        arms[f"fixed {limit or 'none'}"] = runtime_arm(driver, policy, chain)
    return arms | {"ring": runtime_arm(driver, ring, chain)}


def arms_of(device: Any, driver: Driver, chain: Chain) -> dict[str, Arm]:
    """Every policy, replay, plain wgpu-py, and ``bare.py`` if the device is wgpu-native's."""
    arms = {name: runtime_arm(driver, policy, chain) for name, policy in PRESETS.items()}
    arms["replay"] = replay_arm(driver, chain)
    return arms | {"plain": plain_arm(device, chain)} | with_floor(device, chain)


def _probe(driver: Driver, chain: Chain) -> tuple[float, float]:
    """Returns how many microseconds of the host's CPU, and of the GPU, a dispatch takes.

    The GPU's time counts from the last submit.  Each is the best of three rounds.
    """
    arm = runtime_arm(driver, replace(PRESETS["ring"], first_batch=None), chain)
    samples = [arm() for _ in range(4)][1:]
    arm.close()
    each = 1e6 / chain.dispatches
    gpu = min(sample.total_seconds - sample.record_seconds for sample in samples)
    return min(sample.cpu_seconds for sample in samples) * each, gpu * each


def to_best_fixed(arm: str, samples: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """Divides ``arm``'s time by that of the best fixed limit, play by play; returns the median.

    Empty if no arm has a fixed limit.
    """
    totals = {name: [one.total_seconds for one in taken] for name, taken in samples.items()}
    fixed = [name for name in totals if name.startswith("fixed")]
    if not fixed:
        return {}
    best = min(fixed, key=lambda name: median(totals[name]))
    ratios = [mine / its for mine, its in zip(totals[arm], totals[best], strict=True)]
    return {"ratio_to_best_fixed": median(ratios)}
