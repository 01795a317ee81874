"""The runtime keeps its contract on the simulated device, under every schedule and fault.

Without faults a history is what the program means.  Under faults every op ends,
every read that was accepted has a value or an error, a value that comes is
right, and every buffer is given back.
"""

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

import reference
from gpusim import errors
from gpusim.history import History, Outcome
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Read
from gpusim.program import Program
from gpusim.runtime import PRESETS, Runtime, TracedDriver, WgpuDriver
from gpusim.simulated import STRATEGIES, FaultPlan, open_device, parse_faults, strategy
from gpusim.trace import Trace
from properties.clients.misused_devices import LEAST
from properties.execute import run
from properties.generate.cases import draw_case
from properties.generate.choices import SeededChoices
from properties.model.capabilities import capabilities_of
from properties.model.case import Case, DeviceSpec
from properties.oracles.compare import compare
from properties.targets.runtime_target import RuntimeTarget

PROGRAMS = 40
FAULTS = tuple(FaultPlan.__dataclass_fields__)
KNOWN = {
    error.__name__
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.DeviceFault)
}
"""What an op may raise under faults; besides it, a name whose alloc failed is no handle."""


class Run:
    """One case on a simulated device, its runtime closed and its buffers counted."""

    def __init__(self, seed: int, name: str, faults: FaultPlan, *, invalid: bool) -> None:
        self.calls: Counter[str] = Counter()
        device = open_device(scheduler=strategy(name, seed), faults=faults, emit=self._emit)
        driver = WgpuDriver(device)
        preset = list(PRESETS.values())[seed % len(PRESETS)]
        self.case: Case = draw_case(
            SeededChoices(f"simulated {seed}"),
            preset=preset,
            device=DeviceSpec(name="simulated"),
            limits=driver.limits,
            promises=capabilities_of(refuses=invalid, replays=True),
        )
        self.target = RuntimeTarget(driver, self.case.policy)
        self.history: History = run(self.case.program, self.target)
        for buffer in self.target.runtime.live_buffers():
            self.target.runtime.free(buffer)
        try:
            self.target.close()
        except errors.DeviceFault:
            assert len(faults)

    def _emit(self, kind: str, **about: Any) -> None:
        if kind == "call":
            self.calls[about["method"]] += 1


def plan(random: Random, kind: str) -> FaultPlan:
    """A plan with faults of one kind, early enough to be met."""
    if kind.startswith("lost"):
        return parse_faults(f"{kind}={random.randrange(10)}")
    most = 20 if kind == "out_of_memory" else 6
    many = sorted({random.randrange(most) for _ in range(2)})
    return parse_faults(f"{kind}={','.join(map(str, many))}")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_program_means_the_same_under_every_schedule(name: str) -> None:
    for seed in range(PROGRAMS):
        done = Run(seed, name, FaultPlan(), invalid=True)
        expected = reference.run(done.case.program, BUILTIN, done.target.limits)
        difference = compare(done.case.program, expected, done.history, done.target.capabilities)
        assert difference is None, f"seed {seed}, {done.case.policy}: {difference}"
        assert done.calls["buffer"] == done.calls["destroy"], f"seed {seed} leaks"


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_fault_breaks_no_promise(name: str, kind: str) -> None:
    met = 0
    for seed in range(PROGRAMS):
        faults = plan(Random(seed), kind)
        done = Run(seed, name, faults, invalid=False)
        met += check_survived(done, f"seed {seed}, {done.case.policy}, {faults}")
        failed = sum(at < done.calls["buffer"] for at in faults.out_of_memory)
        assert done.calls["buffer"] - failed == done.calls["destroy"], f"seed {seed} leaks"
    assert met > 0


def check_survived(done: Run, where: str) -> bool:
    """Hold a history under faults against what it claims; whether any op met a fault."""
    paired = list(zip(done.case.program, done.history.outcomes, strict=True))
    for op, outcome in paired:
        for error in (outcome.error, outcome.late_error):
            assert error is None or error in KNOWN | {"InvalidHandle", "ProgramError"}, where
        if isinstance(op, Read) and outcome.error is None:
            assert outcome.data is not None or outcome.late_error is not None, where
    kept = [(op, outcome) for op, outcome in paired if outcome.error is None]
    expected = reference.run(Program(tuple(op for op, _ in kept)), BUILTIN, done.target.limits)
    for (op, outcome), meant in zip(kept, expected.outcomes, strict=True):
        check_value(outcome, meant, f"{where}, {op}")
    return len(kept) < len(paired)


def check_value(outcome: Outcome, meant: Outcome, where: str) -> None:
    """A value that came is the one that the accepted ops mean."""
    if outcome.data is not None and meant.data is not None and meant.error_bound is None:
        assert outcome.data == meant.data, where


def test_a_loss_is_known_from_the_devices_promise_before_any_verb_meets_it() -> None:
    device = open_device()
    with Runtime(device) as runtime:
        buffer = runtime.alloc(8)
        runtime.flush()
        device.destroy()
        with pytest.raises(errors.DeviceLost) as raised:
            runtime.flush()
        assert str(raised.value) == (
            "cannot go on because the device is lost (probably it was destroyed, or its driver "
            "was reset); only free, stats and close still work"
        )
        runtime.free(buffer)


def test_a_trace_tells_of_a_loss_once_however_often_it_is_met() -> None:
    device, trace = open_device(), Trace()
    runtime = Runtime(driver=TracedDriver(WgpuDriver(device), trace))
    buffer = runtime.alloc(8)
    device.destroy()
    for _ in range(3):
        with pytest.raises(errors.DeviceLost):
            runtime.write(buffer, b"12345678")
    runtime.free(buffer)
    runtime.close()
    assert [event["error"] for event in trace if event.kind == "failed"] == ["DeviceLost"]


def test_a_drivers_limits_are_those_of_its_device() -> None:
    limits = {
        "max-buffer-size": 1030,
        "max-storage-buffer-binding-size": 517,
        "max-compute-workgroups-per-dimension": 3,
        "max-storage-buffers-per-shader-stage": 5,
        "min-storage-buffer-offset-alignment": 32,
        "min-uniform-buffer-offset-alignment": 64,
    }
    assert WgpuDriver(open_device(limits=limits)).limits == Limits(
        max_buffer_bytes=1028,
        max_binding_bytes=516,
        max_groups_per_dimension=3,
        max_storage_buffers=5,
        storage_offset_alignment_bytes=32,
        uniform_offset_alignment_bytes=64,
    )


def test_a_write_beyond_a_binding_keeps_its_place_in_the_batch() -> None:
    limits = {"max-storage-buffer-binding-size": 512, "max-uniform-buffer-binding-size": 256}
    with Runtime(open_device(limits=limits), PRESETS["ring"]) as runtime:
        big, small = runtime.alloc(1024), runtime.alloc(16)
        runtime.write(small, b"a" * 16)
        runtime.sync()
        submits = runtime.stats().submits
        runtime.copy(small, big)
        runtime.write(big, b"x" * 10, 1)
        assert runtime.stats().submits == submits
        assert runtime.read(big, 0, 16).result() == b"a" + b"x" * 10 + b"a" * 5
        runtime.free(big)
        runtime.free(small)


@pytest.mark.parametrize("most_bytes", [128, 6000, 300_000, 768 << 10])
def test_every_buffer_can_be_read_whole(most_bytes: int) -> None:
    policy = replace(
        PRESETS["ring"], uniform_ring_bytes=64, upload_bytes=64, staging_page_bytes=most_bytes
    )
    with Runtime(open_device(limits={"max-buffer-size": most_bytes}), policy) as runtime:
        largest, small = runtime.alloc(most_bytes), runtime.alloc(4)
        runtime.write(largest, bytes([7]) * most_bytes)
        assert runtime.read(largest).result() == bytes([7]) * most_bytes
        assert runtime.read(small).result() == bytes(4)
        runtime.sync()
        runtime.free(largest)
        runtime.free(small)


def test_a_device_with_the_least_limits_copies_bytes() -> None:
    with Runtime(open_device(limits=LEAST)) as runtime:
        x, y = runtime.alloc(600), runtime.alloc(600)
        runtime.write(x, bytes(range(200)), 1)
        runtime.copy(x, y, source_offset=3, target_offset=2, size_bytes=500)
        assert runtime.read(y, 1, 199).result() == bytes([0, *range(2, 200)])
        runtime.free(x)
        runtime.free(y)
