"""The client that calls devices itself finds mistakes of devices that our runtime never meets."""

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakSet

import pytest
from wgpu import BufferUsage

from gpusim.program import Program
from gpusim.runtime import Driver, WgpuDriver
from gpusim.simulated import PROFILES, SPEC, Profile, open_device
from gpusim.simulated.buffer import GPUBuffer
from properties.clients.blocks import Block
from properties.clients.client import BrokenPromise
from properties.clients.illegal import ILLEGAL, Row
from properties.clients.walk import Walk
from properties.generate.choices import SeededChoices
from properties.model.case import PLAIN, Case, parse_device
from properties.mutants.mutant import Overlay
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

_MOST = 60


def shown(client: str = "direct", *, make_driver: Callable[[Any], Driver] = WgpuDriver) -> str:
    """What the first of a few programs shows; empty if none shows anything."""
    factory = RuntimeFactory("simulated", make_driver=make_driver)
    for number in range(1, _MOST):
        # The program decides what the client calls.
        program = Program.parse(f"alloc a {number}\nsync\n")
        case = Case(program=program, device=parse_device("simulated"), client=client)
        failure = judge(case, factory, MEANING_ONLY).failure
        if failure is not None:
            return str(failure)
    return ""


class WritesOneWordLater(Overlay):
    """A queue write of a part of some data takes bytes that lie a word later."""

    @property
    def queue(self) -> Any:
        return _LateData(self._inner.queue)


class _LateData(Overlay):
    def write_buffer(
        self, buffer: Any, at: int, data: Any, data_offset: int = 0, **size: Any
    ) -> None:
        rest = len(data) - data_offset
        later = 4 if data_offset and size.get("size", rest) + 4 <= rest else 0
        self._inner.write_buffer(buffer, at, data, data_offset + later, **size)


class _KeepsPending(GPUBuffer):
    __slots__ = ()

    def unmap(self) -> None:
        if self.map_state != "pending":
            super().unmap()


class GivenUpMapsArrive(Overlay):
    """An unmap does not give up a map that is under way."""

    def create_buffer(self, **about: Any) -> Any:
        buffer = self._inner.create_buffer(**about)
        buffer.__class__ = _KeepsPending
        return buffer


class FaultsOutliveTheReset(Overlay):
    """A reset keeps the plan of faults."""

    def restart(self, scheduler: Any) -> None:
        kept = self._inner._state.timeline
        self._inner.restart(scheduler)
        self._inner._state.timeline.faults = kept.faults


class TakesAnyCopy(Overlay):
    """A copy from a buffer that may not be copied from copies nothing."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _AnyCopy(self._inner.create_command_encoder(**about))


class _AnyCopy(Overlay):
    def copy_buffer_to_buffer(self, source: Any, *copied: Any) -> None:
        if source.usage & BufferUsage.COPY_SRC:
            self._inner.copy_buffer_to_buffer(source, *copied)


class ImmediatesFromTheStart(Overlay):
    """A part of the immediates is always their first part."""

    def create_command_encoder(self, **about: Any) -> Any:
        return _Encoder(self._inner.create_command_encoder(**about))


class _Encoder(Overlay):
    def begin_compute_pass(self) -> Any:
        return _Pass(self._inner.begin_compute_pass())


class _Pass(Overlay):
    def set_immediates(self, at: int, *data: Any) -> None:
        self._inner.set_immediates(0, *data)


class DrainsInVain(WgpuDriver):
    """A drain submits, and waits for nothing."""

    def drain(self, seconds: float | None = None) -> bool:
        self.submit(self.encode([], "drain", merge_passes=False))
        return True


class LostTogether(WgpuDriver):
    """A lost device takes the others of its adapter with it."""

    gone: ClassVar[WeakSet[Any]] = WeakSet()

    @property
    def lost(self) -> bool:
        if super().lost:
            self.gone.add(self.device.adapter)
        return self.device.adapter in self.gone


@pytest.mark.parametrize(
    "broken",
    [
        WritesOneWordLater,
        GivenUpMapsArrive,
        FaultsOutliveTheReset,
        TakesAnyCopy,
        ImmediatesFromTheStart,
    ],
)
def test_a_mistake_of_a_device_is_seen_by_direct_calls_alone(broken: Any) -> None:
    def make_driver(device: Any) -> Driver:
        return WgpuDriver(broken(device))

    assert shown(PLAIN, make_driver=make_driver) == ""
    assert "BrokenPromise" in shown(make_driver=make_driver)


@pytest.mark.parametrize("broken", [DrainsInVain, LostTogether])
def test_a_mistake_of_a_driver_is_seen_by_direct_calls_alone(broken: Any) -> None:
    assert shown(PLAIN, make_driver=broken) == ""
    assert "BrokenPromise" in shown(make_driver=broken)


def test_direct_calls_on_a_sound_device_show_nothing(device_name: str) -> None:
    factory = RuntimeFactory(device_name)
    for number in range(1, _MOST):
        program = Program.parse(f"alloc a {4 * number}\nsync\nfree a\n")
        case = Case(program=program, device=parse_device(device_name), client="direct")
        assert judge(case, factory, MEANING_ONLY).failure is None


@pytest.mark.parametrize("row", ILLEGAL, ids=lambda row: row[0])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_a_device_refuses_each_illegal_call(row: Row, profile: Profile) -> None:
    walk = Walk(open_device(profile=profile), profile, SeededChoices("a walk"))
    walk.misuse(row)
    walk.go(4)


def test_a_wrong_byte_is_told_with_the_calls_before() -> None:
    device = open_device()
    walk = Walk(device, SPEC, SeededChoices("a walk"))
    block: Block = walk.blocks[0]
    block.put(4, [5, 5, 5, 5], "an earlier write")
    block.put(4, [1, 2, 3, 4], "a write of four bytes")
    with pytest.raises(
        BrokenPromise, match=r"byte 4 .* must be 01, .* an earlier write, a write of four bytes"
    ):
        walk.end(block)
