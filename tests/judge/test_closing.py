"""What a runtime leaves: no buffer on the device, no count of one, and nothing that was dropped."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from gpusim.program import Program
from gpusim.runtime import PRESETS, Graph, Parts, Runtime, Ticket
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.caches import CachedBindGroups
from gpusim.runtime.commands import Role
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.simulated import open_device
from properties.model.case import Case, parse_device
from properties.mutants.mutant import Overlay, around_driver
from properties.oracles.judge import judge
from properties.targets.factory import RuntimeFactory

_CASE = Case(
    program=Program.parse("alloc a 16\nalloc b 48\nfree a\n"), device=parse_device("simulated")
)


class LeavesOne(Overlay):
    """A drain, which no trace shows, leaves a buffer on the device."""

    def drain(self, seconds: float | None = None) -> bool:
        self._inner.create_buffer(4, Role.STAGING)
        return bool(self._inner.drain(seconds))


@pytest.mark.parametrize("faults", ["", " failed_maps=0"])
def test_a_buffer_that_a_closed_runtime_leaves_on_the_device_is_a_finding(faults: str) -> None:
    writes = "write a 0 11111111\n" * 8
    case = replace(
        _CASE,
        program=Program.parse(f"alloc a 4\n{writes}sync\n"),
        policy=replace(PRESETS["ring"], queued_write_bytes=4),
        device=parse_device(f"simulated{faults}"),
    )
    failure = judge(case, RuntimeFactory("simulated", make_driver=around_driver(LeavesOne))).failure
    assert failure is not None
    assert "buffers of the device were never destroyed" in failure.reason
    assert judge(case, RuntimeFactory("simulated")).failure is None


class TellsTotal(BufferTable):
    """The warning of a close gives the bytes of all allocs."""

    def describe_left(self) -> str:
        return super().describe_left().replace(f"{self.live_bytes}", f"{self.total_bytes}")


def test_a_warning_that_gives_other_bytes_than_are_alive_is_a_finding() -> None:
    failure = judge(_CASE, RuntimeFactory("simulated", parts=Parts(buffers=TellsTotal))).failure
    assert failure is not None
    assert "the close left 1 buffers of 48 bytes" in failure.reason
    assert judge(_CASE, RuntimeFactory("simulated")).failure is None


class CountsOn(CachedBindGroups):
    """A close drops the bind groups, and does not count that."""

    def clear(self) -> None:
        held = self.counts.held
        super().clear()
        self.counts.held = held


class KeepsGraphs(Runtime):
    """The cache of planned graphs has the graph in its key."""

    def capture(self) -> Graph:
        graph = super().capture()
        graph.key = graph
        return graph


class KeepsTickets(Readbacks):
    """Each ticket is kept."""

    kept: ClassVar[list[Ticket]] = []

    def issue(self, readback: Readback) -> None:
        super().issue(readback)
        self.kept.append(readback.ticket)


_REPLAYED = Program.parse(
    "alloc a 16\ncapture g dispatch affine a 3,5 1x1x1\nreplay g * -\nread a 0 4 -> r0\nsync\n"
)
_COUNTING = Parts(
    bind_groups=lambda driver, policy, caches: CountsOn(driver, caches),
)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (RuntimeFactory("simulated", parts=_COUNTING), "stats() counts 1 bind_groups"),
        (RuntimeFactory("simulated", make_runtime=KeepsGraphs), "<graph of 1 calls> is kept"),
        (
            RuntimeFactory("simulated", parts=Parts(readbacks=KeepsTickets)),
            "<read of 4 bytes at 0 of <a, 16 bytes>, done> is kept",
        ),
    ],
)
def test_what_a_runtime_keeps_though_nobody_can_use_it_is_a_finding(
    factory: RuntimeFactory, said: str
) -> None:
    case = replace(_CASE, program=_REPLAYED)
    failure = judge(case, factory).failure
    assert failure is not None
    assert said in failure.reason
    assert judge(case, RuntimeFactory("simulated")).failure is None


def test_a_device_counts_its_live_buffers() -> None:
    device: Any = open_device()
    buffer = device.create_buffer(size=4, usage="STORAGE")
    assert device.live_buffers == 1
    buffer.destroy()
    buffer.destroy()
    assert device.live_buffers == 0
