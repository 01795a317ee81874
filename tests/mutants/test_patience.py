"""What counts as a hang: a program that works on or waits on, and not one that is held up."""

import time
from threading import Event

import pytest

from gpusim.program import Program
from properties.model.case import Case, DeviceSpec
from properties.model.failure import FailureKind
from properties.mutants.oracles import within

CASE = Case(program=Program(()), device=DeviceSpec(name="simulated"))


def test_a_program_that_works_on_hangs() -> None:
    def works(_: Case) -> None:
        while True:
            pass

    failure = within(0.2, works)(CASE)
    assert failure is not None
    assert failure.kind is FailureKind.HANG


def test_a_program_that_waits_on_hangs() -> None:
    def waits(_: Case) -> None:
        Event().wait()

    failure = within(0.2, waits)(CASE)
    assert failure is not None
    assert failure.kind is FailureKind.HANG


def test_a_program_that_a_busy_machine_holds_up_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that gives this process a tenth of its time.
    start = time.monotonic()
    monkeypatch.setattr(time, "process_time", lambda: (time.monotonic() - start) / 10)

    def works(_: Case) -> None:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            pass

    assert within(0.2, works)(CASE) is None
