"""Reads into arrays of the client's own: what the runtime may not keep, share or leave out."""

from typing import Any

import numpy as np
import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS, Parts, Ticket
from gpusim.runtime.host_data import Destination
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.reads import Reads
from gpusim.runtime.staging import StagingPage
from properties.model.case import Case, DeviceSpec
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

SIMULATED = DeviceSpec(name="simulated")


class OneArray(Readbacks):
    """A read that brings the same array as the read before gives that very array."""

    _last: Any = None

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        value = super()._value(readback, page)
        if isinstance(value, np.ndarray) and np.array_equal(value, self._last):
            return self._last
        self._last = value
        return value


class FewReads(Reads):
    """A page with more than a hundred reads has no bytes for the last of them."""

    def _page_for(self, size_bytes: int) -> StagingPage:
        page = super()._page_for(size_bytes)
        page.used_bytes -= size_bytes if page.reads > 100 else 0
        return page


class HoldsItsArray(Readbacks):
    """A ticket holds the view on the caller's array for as long as it lives."""

    def _deliver(self, readback: Readback) -> None:
        readback.ticket.held = readback.destination  # type: ignore[attr-defined]
        super()._deliver(readback)


class WritesWhatDiffers(Destination):
    """Floats that are equal are not written, and so an array keeps the sign of its zeros."""

    def deliver(self, data: memoryview) -> Any:
        if self._out is None or len(data) % 4:
            return super().deliver(data)
        old, new = np.frombuffer(self._out, np.float32), np.frombuffer(data, np.float32)
        np.copyto(old, new, where=old != new)
        return self._owner


class ReadsWhatDiffers(Reads):
    def issue(self, *given: Any, **named: Any) -> Ticket:
        given[3].__class__ = WritesWhatDiffers
        return super().issue(*given, **named)


@pytest.mark.parametrize(
    "broken",
    [
        Parts(readbacks=OneArray),
        Parts(readbacks=HoldsItsArray),
        Parts(reads=FewReads),
        Parts(reads=ReadsWhatDiffers),
    ],
)
def test_arrays_and_reads_in_great_number_are_seen_by_own_arrays(broken: Parts) -> None:
    reads = "".join(f"read a 0 {(512, 64)[n % 2]} -> r{n}\n" for n in range(48))
    program = Program.parse(f"alloc a 512\nwrite a 16 {bytes(range(248)).hex() * 2}\n{reads}")
    case = Case(program=program, policy=PRESETS["ring"], device=SIMULATED, client="own_arrays")
    assert judge(case, RuntimeFactory("simulated", parts=broken), MEANING_ONLY).failure is not None
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None
