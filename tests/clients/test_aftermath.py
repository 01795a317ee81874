"""What a runtime must do after something went wrong: a sound one does it, and each slip is seen."""

from typing import Any

import pytest

from gpusim.errors import DeviceFault
from gpusim.program import Program
from gpusim.runtime import PRESETS, Buffer, Parts, Policy, Runtime
from gpusim.runtime.graph import CopyCall
from gpusim.runtime.replays import BoundGraph, DebugModes, Replays
from gpusim.runtime.transfers import Transfers
from properties.clients.aftermath import AFTERMATHS
from properties.generate.choices import SeededChoices
from properties.model.case import Case, parse_device
from properties.targets.factory import RuntimeFactory
from properties.targets.runtime_target import RuntimeTarget

_TIMES = 12
_RING = PRESETS["ring"]


def wrong(policy: Policy, device_name: str = "simulated", **broken: Any) -> list[str]:
    """What the runtime does wrong."""
    case = Case(program=Program(()), policy=policy, device=parse_device(device_name))
    target = RuntimeFactory(device_name, **broken).open(case).target
    assert isinstance(target, RuntimeTarget)
    drawn = [SeededChoices(str(number)) for number in range(_TIMES)]
    told = [aftermath(target, choices) for aftermath in AFTERMATHS for choices in drawn]
    target.close()
    return [each for each in told if each]


@pytest.mark.parametrize("policy", PRESETS)
def test_a_sound_runtime_does_nothing_wrong(policy: str, device_name: str) -> None:
    assert wrong(PRESETS[policy], device_name) == []


class RaisesItsLateness(DebugModes):
    def after_dispatch(self) -> None:
        if self._waits_each:
            self._reads.wait_for_all()


class HidesItsLateness(DebugModes):
    def after_dispatch(self) -> None:
        super().after_dispatch()
        self._guard._readbacks.unseen = None


def debugging(modes: type[DebugModes]) -> dict[str, Any]:
    class Debugging(Runtime):
        def _assemble_ops(self, parts: Parts) -> None:
            super()._assemble_ops(parts)
            if self._debug is not None:
                self._debug.__class__ = modes

    return {"make_runtime": Debugging}


class OverTheFreed(Replays):
    def _check_can_go_on(self, bound: BoundGraph) -> None:
        self._guard.check_op("replay")


class OnceClosed(Replays):
    def _check_can_go_on(self, bound: BoundGraph) -> None:
        if self._guard.is_open:
            super()._check_can_go_on(bound)


class OneOfTwo(Runtime):
    def sync(self, timeout: float | None = None) -> None:
        try:
            super().sync(timeout)
        except DeviceFault:
            self._readbacks.unseen = None
            raise


class TwiceTheSame(Runtime):
    def sync(self, timeout: float | None = None) -> None:
        try:
            super().sync(timeout)
        except DeviceFault as fault:
            self._readbacks.unseen = fault
            raise


class HealsByWrites(Transfers):
    def write(self, buffer: Buffer, offset: int, data: memoryview) -> None:
        buffer.lost = False
        super().write(buffer, offset, data)


class HealsByCopies(Transfers):
    def copy(self, call: CopyCall) -> None:
        call.target.lost = False
        super().copy(call)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (debugging(RaisesItsLateness), "whose wait is late"),
        (debugging(HidesItsLateness), "whose wait is late"),
        ({"parts": Parts(replays=OverTheFreed)}, "a done callback frees its buffer"),
        ({"parts": Parts(replays=OnceClosed)}, "a done callback closes the runtime"),
        ({"make_runtime": OneOfTwo}, "'MapFailed': 0, 'SubmitFailed': 1"),
        ({"make_runtime": TwiceTheSame}, "are raised so many times: {"),
        ({"parts": Parts(transfers=HealsByWrites)}, "a write over a lost buffer"),
        ({"parts": Parts(transfers=HealsByCopies)}, "a copy over a lost buffer"),
    ],
)
def test_what_goes_wrong_is_told(broken: dict[str, Any], words: str) -> None:
    told = wrong(_RING, **broken)
    assert told
    assert all(words in each for each in told)
