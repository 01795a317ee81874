"""Callers and transformations of a session: drawn, judged, made small with the program."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.runtime import PRESETS, Driver, WgpuDriver
from gpusim.runtime.commands import Command, DeviceBuffer
from properties.case import PLAIN, Case
from properties.session.devices import SCHEDULERS, shown_faults
from properties.session.drawn import judge_drawn, with_drawn
from properties.session.messages import JudgeCase, Judged
from properties.session.numbered import numbered_case
from properties.session.shrinking import shrink
from properties.session.subject import RuntimeSubject
from properties.session.supervisor import Supervisor
from properties.session.verdict import Failure, judge


class Overlay:
    def __init__(self, device: Any) -> None:
        self._inner: Any = WgpuDriver(device)
        self.limits = self._inner.limits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class AskedFlushLosesOne(Overlay):
    """The last command before a flush that the program asked for is lost."""

    def encode(self, commands: Sequence[Command], label: str, **how: Any) -> Any:
        return self._inner.encode(commands[:-1] if label == "asked" else commands, label, **how)


class KeepsTheArray(Overlay):
    """A host write looks into the caller's array at the next submit only."""

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self._queued: list[tuple[DeviceBuffer, int, Any]] = []

    def write_buffer(self, *about: Any) -> None:
        self._queued.append(cast(tuple[DeviceBuffer, int, Any], about))

    def submit(self, command_buffer: Any) -> None:
        while self._queued:
            self._inner.write_buffer(*self._queued.pop(0))
        self._inner.submit(command_buffer)


class FirstWriteIsLost(Overlay):
    """Whoever calls, the first host write goes nowhere."""

    _met = False

    def write_buffer(self, *about: Any) -> None:
        if self._met:
            self._inner.write_buffer(*about)
        self._met = True


class Bench:
    """Judges in this process what a supervisor would hand to a worker."""

    def __init__(self, make_driver: Callable[[Any], Any]) -> None:
        self.subject = RuntimeSubject("simulated", BUILTIN, make_driver=make_driver)
        self._case: Case | None = None

    def ask(self, request: JudgeCase) -> None:
        self._case = request.case

    def wait(self, stall_seconds: float) -> Judged:
        assert self._case is not None
        return Judged(failure=judge_drawn(self._case, self.subject, BUILTIN).failure)


def numbered(number: int, *, device: str = "simulated", faults: bool = False) -> Case:
    case = numbered_case(
        4,
        number,
        presets=tuple(PRESETS),
        schedulers=SCHEDULERS,
        device=device,
        kernels=BUILTIN,
        limits=Limits(),
        faults=faults,
    )
    return with_drawn(case, BUILTIN, refuses=True)


def found(make_driver: Callable[[Any], Any], wanted: Callable[[Case], bool]) -> Any:
    """The first failing case of a kind, its failure, and both made small."""
    bench = Bench(make_driver)
    for number in range(400):
        case = numbered(number)
        if wanted(case):
            failure = judge_drawn(case, bench.subject, BUILTIN).failure
            if failure is not None:
                small = shrink(
                    case,
                    failure,
                    cast(Supervisor, bench),
                    kernels=BUILTIN,
                    seconds=math.inf,
                    stall_seconds=1,
                )
                assert small is not None
                return case, failure, *small
    raise AssertionError("no program shows it")


def test_what_is_drawn_leaves_the_program_alone_and_is_the_same_again() -> None:
    cases = [numbered(number) for number in range(80)]
    assert [numbered(number) for number in range(80)] == cases
    plain = [case for case in cases if case.caller == PLAIN and not case.transformations]
    assert 30 < len(plain) < 70
    assert not any(case.caller != PLAIN and case.transformations for case in cases)


def test_beside_planned_faults_only_these_are_left_out() -> None:
    cases = [numbered(number, faults=True) for number in range(40)]
    failing = [case for case in cases if shown_faults(case.device)]
    assert len(failing) > 15
    assert {case.caller for case in failing} == {PLAIN}
    assert {case.transformations for case in failing} == {(), ("without_faults",)}


def test_a_sound_runtime_shows_the_same_whatever_is_drawn() -> None:
    subject = RuntimeSubject("simulated", BUILTIN)
    for number in range(60):
        case = numbered(number)
        failure = judge_drawn(case, subject, BUILTIN).failure
        assert failure is None, f"{failure}\n{case}"


def test_a_relation_is_told_with_its_transformation_and_both_are_made_small() -> None:
    wanted: Callable[[Case], bool] = lambda case: (  # noqa: E731
        bool(case.transformations) and "flush\n" not in str(case.program)
    )
    case, failure, small, smaller = found(AskedFlushLosesOne, wanted)
    assert failure.kind == smaller.kind == "relation"
    assert len(small.transformations) == 1
    assert "boundary=flush" in small.transformations[0]
    assert "with: `flush` before" in smaller.text
    assert len(small.program) <= 6 < len(case.program)


def test_a_caller_that_matters_stays_and_another_goes() -> None:
    calling = {"mutating"}
    _, _, small, _ = found(KeepsTheArray, lambda case: case.caller in calling)
    assert small.caller == "mutating"
    assert len(small.program) <= 6
    _, _, small, _ = found(FirstWriteIsLost, lambda case: case.caller in calling)
    assert small.caller == PLAIN


def test_what_does_not_fail_again_is_not_made_small() -> None:
    bench = Bench(WgpuDriver)
    failure = Failure(kind="value", trait="", text="")
    supervisor = cast(Supervisor, bench)
    shrunk = shrink(numbered(0), failure, supervisor, kernels=BUILTIN, seconds=1, stall_seconds=1)
    assert shrunk is None


def test_judging_without_anything_drawn_is_judging() -> None:
    make: Callable[[Any], Driver] = WgpuDriver
    bench = Bench(make)
    case = replace(numbered(1), caller=PLAIN, transformations=())
    drawn, plain = (how(case, bench.subject, BUILTIN) for how in (judge_drawn, judge))
    assert drawn.history == plain.history
    assert drawn.failure is plain.failure is None
