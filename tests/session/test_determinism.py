"""A case that is run twice must do the same on its driver, event by event."""

from dataclasses import replace
from itertools import cycle

from gpusim.program import Program
from gpusim.runtime import PRESETS
from properties.model.case import Case, DeviceSpec
from properties.oracles.judge import judge_determinism
from properties.targets.factory import Opened, RuntimeFactory

CASE = Case(
    program=Program.parse("alloc a 8\nwrite a 0 0102030405060708\nread a 0 8 -> r0\nsync\n"),
    policy=PRESETS["cached"],
    device=DeviceSpec(name="simulated"),
)


class Fickle(RuntimeFactory):
    """Another policy every other time, as if something outside of the case decided it."""

    def __init__(self) -> None:
        super().__init__("simulated")
        self._policies = cycle((PRESETS["cached"], PRESETS["ring"]))

    def open(self, case: Case) -> Opened:
        return super().open(replace(case, policy=next(self._policies)))


def test_a_sound_runtime_does_the_same_again() -> None:
    assert judge_determinism(CASE, RuntimeFactory("simulated")) is None


def test_what_depends_on_more_than_the_case_is_found() -> None:
    failure = judge_determinism(CASE, Fickle())
    assert failure is not None
    assert (failure.kind, failure.trait) == ("law", "H1")
    assert "two runs gave" in str(failure)
