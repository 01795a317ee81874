"""What a driver calls on its device for each verb, and what messages of its faults are about."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from gpusim.errors import SubmitFailed
from gpusim.program import Program
from gpusim.runtime import WgpuDriver
from gpusim.runtime.commands import DispatchCommand, RecordedCommand, StagingMap
from gpusim.runtime.drivers.driver import Receive, Value
from gpusim.runtime.policy import PRESETS
from properties.model.case import SCHEDULERS, Case, parse_device
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import judge
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\ndispatch affine a 3,5 1x1x1\ndispatch tally a 3 1x1x1\n"
    "copy a 0 b 0 8\ncopy a 0 b 8 8\ndispatch affine b 3,5 1x1x1\n"
    "dispatch affine b 3,5 1x1x1\nread a 0 64 -> r0\nsync\n"
    "write a 0 01020304\nwrite a 4 01020304\nwrite a 8 01020304\nread b 0 64 -> r1\nsync\n"
)
DRAINING = replace(PRESETS["ring"], queued_write_bytes=4, upload_bytes=0)


class PassForEachKernel(WgpuDriver):
    """A compute pass ends where the pipeline changes."""

    def _encode_pass(self, encoder: Any, dispatches: list[DispatchCommand]) -> None:
        for _, group in groupby(dispatches, lambda command: command.pipeline):
            super()._encode_pass(encoder, list(group))


class SetsAll(WgpuDriver):
    """Each dispatch sets its bind group, even if it is set."""

    def _encode_pass(self, encoder: Any, dispatches: list[DispatchCommand]) -> None:
        begun = encoder.begin_compute_pass()
        for pipeline, group, groups, offset in dispatches:
            begun.set_pipeline(pipeline.native)
            begun.set_bind_group(0, group.native, () if offset is None else (offset,))
            begun.dispatch_workgroups(*groups)
        begun.end()


class AsksOften(WgpuDriver):
    """Each take asks whether the device is alive."""

    def take(self, mapping: StagingMap, receive: Receive[Value]) -> Value:
        self._check_alive()
        return super().take(mapping, receive)


class DrainsInVain(WgpuDriver):
    """A drain submits, and waits for nothing."""

    def drain(self, seconds: float | None = None) -> bool:
        self.submit(self.encode([], "drain", merge_passes=False))
        return True


class CountsKinds(WgpuDriver):
    """A failed encode tells how many kinds of commands there were."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, *, merge_passes: bool) -> Any:
        try:
            return super().encode(commands, label, merge_passes=merge_passes)
        except SubmitFailed as fault:
            kinds = len({*map(type, commands)})
            said = str(fault).replace(f"{len(commands)} commands", f"{kinds} commands")
            raise SubmitFailed(said) from fault


def failure(make_driver: Any, device: str = "simulated", **about: Any) -> Failure | None:
    case = Case(program=PROGRAM, device=parse_device(device), **about)
    return judge(case, RuntimeFactory("simulated", make_driver=make_driver)).failure


@pytest.mark.parametrize("policy", [*PRESETS.values(), DRAINING], ids=str)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_sound_driver_makes_the_calls_that_its_verbs_need(policy: Any, scheduler: str) -> None:
    assert failure(WgpuDriver, f"simulated scheduler={scheduler}", policy=policy) is None


@pytest.mark.parametrize(
    ("broken", "call"),
    [
        (PassForEachKernel, "compute pass"),
        (SetsAll, "set pipeline"),
        (AsksOften, "command encoder"),
        (DrainsInVain, "buffer"),
    ],
    ids=str,
)
def test_a_driver_that_makes_other_calls_is_seen(broken: Any, call: str) -> None:
    shown = failure(broken, policy=DRAINING)
    assert shown is not None
    assert shown.kind is FailureKind.COST
    assert f"calls of the kind {call}" in shown.reason


@pytest.mark.parametrize(
    ("plan", "policy"), [("failed_encodes=0", "lazy"), ("out_of_memory=1", "ring")]
)
def test_the_fault_of_a_sound_driver_names_what_failed(plan: str, policy: str) -> None:
    assert failure(WgpuDriver, f"simulated {plan}", policy=PRESETS[policy]) is None


def test_a_fault_that_names_what_did_not_fail_is_seen() -> None:
    shown = failure(CountsKinds, "simulated failed_encodes=0", policy=PRESETS["lazy"])
    assert shown is not None
    assert shown.kind is FailureKind.WORDS
    assert "no call of encode that failed was about 2" in shown.reason
