"""Clients and transformations of a session: drawn, judged, made small with the program."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.runtime import WgpuDriver
from gpusim.runtime.commands import DeviceBuffer, RecordedCommand
from properties.fuzz.variants import tries_without_faults, with_variants
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import PLAIN, Case
from properties.model.failure import Failure, FailureKind
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.judge import MEANING_ONLY, judge
from properties.oracles.metamorphic import write_transformation
from properties.shrink.reducer import shrink
from properties.targets.factory import RuntimeFactory


class AskedFlushLosesOne(Overlay):
    """The last command before a flush that the program asked for is lost."""

    def encode(self, commands: Sequence[RecordedCommand], label: str, **how: Any) -> Any:
        return self._inner.encode(commands[:-1] if label == "asked" else commands, label, **how)


class KeepsTheArray(Overlay):
    """A host write looks into the client's array at the next submit only."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
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


def numbered(number: int, *, device: str = "simulated", faults: bool = False) -> Case:
    case = case_for(4, number, CaseSettings(device=device, limits=Limits(), faults=faults))
    return with_variants(case, BUILTIN, refuses=True)


def found(broken: Callable[[Any], Any], wanted: Callable[[Case], bool]) -> Any:
    """The first failing case of a kind, its failure, and both made small."""
    factory = RuntimeFactory("simulated", make_driver=around_driver(broken))

    def judgement(case: Case) -> Failure | None:
        return judge(case, factory).failure

    for number in range(400):
        case = numbered(number)
        if wanted(case):
            failure = judgement(case)
            if failure is not None:
                small = shrink(case, failure, judgement, seconds=math.inf)
                assert small is not None
                return case, failure, small.case, small.failure
    raise AssertionError("no program shows it")


def test_what_is_drawn_leaves_the_program_alone_and_is_the_same_again() -> None:
    cases = [numbered(number) for number in range(80)]
    assert [numbered(number) for number in range(80)] == cases
    plain = [case for case in cases if case.client == PLAIN and not case.transformations]
    assert 30 < len(plain) < 70
    assert not any(case.client != PLAIN and case.transformations for case in cases)


def test_beside_planned_faults_only_these_are_left_out() -> None:
    cases = [numbered(number, faults=True) for number in range(40)]
    failing = [case for case in cases if case.device.shown_faults]
    assert len(failing) > 15
    assert len({case.client for case in failing}) > 4
    assert {case.transformations for case in failing} == {()}
    assert all(case.client == PLAIN for case in failing if tries_without_faults(case))
    assert {tries_without_faults(case) for case in failing} == {True, False}
    assert not any(tries_without_faults(numbered(number)) for number in range(40))


def test_a_sound_runtime_shows_the_same_whatever_is_drawn() -> None:
    factory = RuntimeFactory("simulated")
    for number in range(60):
        case = numbered(number)
        failure = judge(case, factory).failure
        assert failure is None, f"{failure}\n{case}"


def test_a_relation_is_told_with_its_transformation_and_both_are_made_small() -> None:
    wanted: Callable[[Case], bool] = lambda case: (  # noqa: E731
        bool(case.transformations) and "flush\n" not in str(case.program)
    )
    case, failure, small, smaller = found(AskedFlushLosesOne, wanted)
    assert failure.kind == smaller.kind == "relation"
    assert len(small.transformations) == 1
    assert "boundary=flush" in write_transformation(small.transformations[0])
    assert "with: `flush` before" in str(smaller)
    assert len(small.program) <= 6 < len(case.program)


def test_a_client_that_matters_stays_and_another_goes() -> None:
    calling = {"mutating"}
    _, _, small, _ = found(KeepsTheArray, lambda case: case.client in calling)
    assert small.client == "mutating"
    assert len(small.program) <= 6
    _, _, small, _ = found(FirstWriteIsLost, lambda case: case.client in calling)
    assert small.client == PLAIN


def test_what_does_not_fail_again_is_not_made_small() -> None:
    failure = Failure(kind=FailureKind.VALUE, reason="it was so once")
    assert shrink(numbered(0), failure, lambda case: None, seconds=1) is None


def test_transformations_go_together_where_one_of_them_cannot_be_applied() -> None:
    case = numbered(0)
    folded: Any = case.transformations[0]
    impossible = replace(folded, at=0)
    failure = Failure(kind=FailureKind.VALUE, reason="whatever is tried")
    case = replace(case, transformations=(impossible, *case.transformations))
    small = shrink(case, failure, lambda case: failure, seconds=0)
    assert small is not None
    assert small.case.transformations == ()


def test_judging_without_anything_drawn_is_judging() -> None:
    factory = RuntimeFactory("simulated", make_driver=WgpuDriver)
    case = replace(numbered(1), client=PLAIN, transformations=())
    drawn, plain = judge(case, factory), judge(case, factory, MEANING_ONLY)
    assert drawn.execution.history == plain.execution.history
    assert drawn.failure is plain.failure is None
