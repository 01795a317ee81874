"""The client that shares buffers finds the mistakes that only shared buffers show."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS, Parts, Policy, Runtime, WgpuDriver
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.buffers import Buffer, BufferTable
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.loans import Loan
from gpusim.runtime.recorder import Recorder
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import PLAIN, Case, parse_device
from properties.model.failure import Failure
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nwrite a 0 01010101\nwrite b 0 02020202\ndispatch fold a,b 3 1x1x1\n"
    "write b 0 03030303\nwrite a 0 04040404\nwrite b 4 05050505\nread b 0 64 -> r0\n"
    "dispatch scramble a - 1x1x1\nfree a\nalloc c 64\ndispatch scramble c - 1x1x1\n"
    "read b 0 64 -> r1\nread c 0 64 -> r2\nsync\n"
)


class LoanOvertakesBatch(Recorder):
    """Nothing is submitted when a buffer is lent, or when anybody asks for it."""

    def submit(self, reason: FlushReason) -> None:
        if reason is not FlushReason.ASKED:
            super().submit(reason)


class AdoptedIsDestroyed(Overlay):
    """A buffer of the caller's is destroyed like any other."""

    def destroy_buffer(self, buffer: DeviceBuffer) -> None:
        buffer.native.destroy()


class FreeOfAdoptedDeferred(Recorder):
    """What uses a buffer of the caller's may still be recorded when it is given up."""

    def before_free(self, buffer: DeviceBuffer) -> None:
        self._submit_for(self._rules.before_free(self._batch))


class AdoptsWhatIsAboutToBeMapped(WgpuDriver):
    """A buffer that is about to be mapped is taken for one that is not."""

    def adopt_buffer(self, native: Any) -> DeviceBuffer:
        return super().adopt_buffer(getattr(native, "_native", native))


class LentForGood(BufferTable):
    """A buffer that was lent once is never taken back."""

    def take_back(self, buffer: Buffer) -> None:
        """Nothing is."""


class OneRegister(BufferTable):
    """All runtimes share the list of device buffers that have a handle."""

    shared: ClassVar[dict[int, Buffer]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._by_native = self.shared


class LentIsHidden(BufferTable):
    """A buffer is not listed among the live ones while it is lent."""

    def __iter__(self) -> Iterator[Buffer]:
        return iter([each for each in self._live.values() if each._lent is None])


class SubmitsForItsBuffer(Runtime):
    """A loan submits only what uses its buffer."""

    def lend(self, buffer: Buffer) -> Loan:
        uses = self._recorder._batch.touches(self._buffers.device_buffer(buffer))
        recorder = self._recorder if uses else SimpleNamespace(submit=lambda reason: None)
        return Loan(buffer, self._guard, self._buffers, recorder, self._forget)  # type: ignore[arg-type]


class FoundByItsPlan(Runtime):
    """What was planned over a buffer stays while the buffer is lent."""

    def lend(self, buffer: Buffer) -> Loan:
        return Loan(buffer, self._guard, self._buffers, self._recorder, lambda _: None)


def failure(
    client: str,
    policy: Policy = PRESETS["ring"],
    *,
    program: Program = PROGRAM,
    **broken: Any,
) -> Failure | None:
    factory = RuntimeFactory("simulated", **broken)
    case = Case(program=program, policy=policy, device=parse_device("simulated"), client=client)
    return judge(case, factory, MEANING_ONLY).failure


@pytest.mark.parametrize(
    "broken",
    [
        {"parts": Parts(recorder=LoanOvertakesBatch)},
        {"parts": Parts(recorder=FreeOfAdoptedDeferred)},
        {"parts": Parts(buffers=LentForGood)},
        {"parts": Parts(buffers=OneRegister)},
        {"make_driver": around_driver(AdoptedIsDestroyed)},
        {"make_runtime": FoundByItsPlan},
        {"parts": Parts(buffers=LentIsHidden)},
        {"make_runtime": SubmitsForItsBuffer},
    ],
    ids=lambda broken: str(next(iter(broken))),
)
def test_a_mistake_about_shared_buffers_is_seen_by_sharing_alone(broken: Any) -> None:
    assert failure(PLAIN, **broken) is None
    assert failure("sharing", **broken) is not None


def test_one_alloc_of_a_few_offers_a_buffer_that_is_about_to_be_mapped() -> None:
    programs = [Program.parse(f"alloc a {4 * words}\nfree a\n") for words in range(1, 30)]
    broken = [
        failure("sharing", program=program, make_driver=AdoptsWhatIsAboutToBeMapped)
        for program in programs
    ]
    assert "about to be mapped" in "".join(map(str, broken))
    assert not any([failure("sharing", program=program) for program in programs])


def test_programs_show_the_same_over_shared_buffers(device_name: str) -> None:
    factory = RuntimeFactory(device_name)
    setting = CaseSettings(device=device_name, limits=factory.limits)
    for number in range(150):
        case = case_for(71, number, setting)
        shared = Case(
            program=case.program, policy=case.policy, device=case.device, client="sharing"
        )
        found = judge(shared, factory, MEANING_ONLY).failure
        assert found is None, f"{found}\n{case.policy}\n{case.program}"


class AdoptedForFree(BufferTable):
    """Adopted buffers are left out of the live bytes."""

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        buffer = super().add(device_buffer, size_bytes, label)
        self.live_bytes -= size_bytes if device_buffer.is_adopted else 0
        return buffer

    def remove(self, buffer: Buffer) -> DeviceBuffer:
        device_buffer = super().remove(buffer)
        self.live_bytes += buffer.size_bytes if device_buffer.is_adopted else 0
        return device_buffer


def test_an_adopted_buffer_counts_in_the_statistics_and_for_the_budget() -> None:
    broken = Parts(buffers=AdoptedForFree)
    assert "live_bytes" in str(failure("sharing", parts=broken))
    tight = replace(PRESETS["ring"], memory_budget_bytes=64 * 1024)
    assert failure("sharing", tight) is None
    assert failure("sharing", tight, parts=broken) is not None


class PeakOfAllocs(BufferTable):
    """An adopted buffer does not raise the peak of the live bytes."""

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        peak_bytes = self.peak_bytes
        buffer = super().add(device_buffer, size_bytes, label)
        self.peak_bytes = peak_bytes if device_buffer.is_adopted else self.peak_bytes
        return buffer


class TotalOfAllocs(BufferTable):
    """An adopted buffer does not count in the bytes that were ever allocated."""

    def add(self, device_buffer: DeviceBuffer, size_bytes: int, label: str) -> Buffer:
        buffer = super().add(device_buffer, size_bytes, label)
        self.total_bytes -= size_bytes if device_buffer.is_adopted else 0
        return buffer


def test_an_adopted_buffer_counts_in_the_peak_and_in_the_total() -> None:
    assert "peak_bytes" in str(failure("sharing", parts=Parts(buffers=PeakOfAllocs)))
    assert "total_bytes" in str(failure("sharing", parts=Parts(buffers=TotalOfAllocs)))
