"""A Python target on a watched device is held to the laws that the layer can see; a sound one is
never accused, whatever WebGPU leaves it free to do."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN
from properties.fuzz.variants import with_foreign_client
from properties.generate.cases import CaseSettings, case_for, draw_disturbance
from properties.model.case import NO_POLICY
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import judge
from properties.targets.factory import AdapterFactory
from properties.targets.naive_target import NaiveTarget
from tests.layer.hidden import PAIRS, Recording

PROGRAMS = 25
FEW = 8
"""Programs on a real device, which only has to do nothing that the laws take for a mistake."""
SLOT_BYTES, SLOTS = 256, 4
Make = Callable[[Any, Any], Any]


class Padded(Recording):
    """Scalars are written right before the submit, a whole ring at a time, used or not."""

    def __init__(self, device: Any, kernels: Any) -> None:
        super().__init__(device, kernels)
        usage = "UNIFORM|STORAGE|COPY_DST"
        self.ring = device.create_buffer(size=SLOT_BYTES * SLOTS, usage=usage)
        self.payloads: list[bytes] = []

    def uniform(self, payload: bytes) -> dict[str, Any]:
        if len(self.payloads) == SLOTS:
            self.flush()
        self.payloads.append(payload)
        at = SLOT_BYTES * (len(self.payloads) - 1)
        return {"buffer": self.ring, "offset": at, "size": len(payload)}

    def flush(self) -> None:
        ring = b"".join(each.ljust(SLOT_BYTES, b"\0") for each in self.payloads)
        if ring:
            whole = ring.ljust(SLOT_BYTES * SLOTS, bytes([len(self.payloads)]))
            self.device.queue.write_buffer(self.ring, 0, whole)
        self.payloads.clear()
        super().flush()


class Rewritten(Recording):
    """Scalars are written again for each dispatch; a batch ends where they change."""

    def __init__(self, device: Any, kernels: Any) -> None:
        super().__init__(device, kernels)
        self.slot = device.create_buffer(size=SLOT_BYTES, usage="UNIFORM|COPY_DST")
        self.payload = b""

    def uniform(self, payload: bytes) -> dict[str, Any]:
        if payload != self.payload:
            self.flush()
        self.payload = payload
        self.device.queue.write_buffer(self.slot, 0, payload)
        return {"buffer": self.slot, "offset": 0, "size": len(payload)}


class Shared(Rewritten):
    """The batch goes on although the scalars change."""

    def uniform(self, payload: bytes) -> dict[str, Any]:
        self.device.queue.write_buffer(self.slot, 0, payload)
        return {"buffer": self.slot, "offset": 0, "size": len(payload)}


class Pooled(Recording):
    """What is freed is used again, with whatever bytes it has, and is cleared on the device."""

    def __init__(self, device: Any, kernels: Any) -> None:
        super().__init__(device, kernels)
        self.pool: list[Any] = []

    def alloc(self, buffer: str, size_bytes: int) -> None:
        fitting = [each for each in self.pool if each.size == max(4, size_bytes)]
        if not fitting:
            return super().alloc(buffer, size_bytes)
        self.pool.remove(fitting[0])
        self.buffers[buffer] = fitting[0]
        self.open().clear_buffer(fitting[0])

    def free(self, buffer: str) -> None:
        self.pool.append(self.buffers.pop(buffer))

    def close(self) -> None:
        super().close()
        for buffer in self.pool:
            buffer.destroy()


class Eager(Recording):
    """Every sync submits, whether there is anything or not."""

    def sync(self) -> None:
        self.device.queue.submit([])
        super().sync()


class EagerInVain(Eager):
    """It has promised that it does not."""

    capabilities = replace(Recording.capabilities, no_empty_submits=True)


class Sparing(Recording):
    """It keeps that promise."""

    capabilities = replace(Recording.capabilities, no_empty_submits=True)


def failures(make: Make, device: str, programs: int) -> list[Failure]:
    """What the judge finds in the first programs of a disturbed session."""
    factory = AdapterFactory(device, make_target=make)
    promises = factory.capabilities
    setting = CaseSettings(device=device, limits=factory.limits, promises=promises, target="target")
    found = []
    for number in range(programs):
        case = replace(case_for(3, number, setting), policy=NO_POLICY)
        case = with_foreign_client(case, promises, BUILTIN, factory.limits)
        case = replace(case, disturbance=draw_disturbance(case.seed, promises))
        found.append(judge(case, factory).failure)
    return [each for each in found if each is not None]


SOUND: dict[str, Make] = {
    "naive": NaiveTarget,
    **{name: pair[0] for name, pair in PAIRS.items()},
    **{each.__name__: each for each in (Padded, Rewritten, Pooled, Eager, Sparing)},
}
WRONG = {"overtaking-write": Shared, "empty-submit": EagerInVain}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_target_is_never_accused(name: str, device_name: str) -> None:
    programs = PROGRAMS if device_name == SIMULATED else FEW
    assert failures(SOUND[name], device_name, programs) == []


@pytest.mark.parametrize("rule", WRONG)
def test_a_broken_law_is_a_finding(rule: str) -> None:
    # One program in seven shows the law first; most others show a wrong value.
    found = failures(WRONG[rule], SIMULATED, 3 * PROGRAMS)
    laws = [each for each in found if each.kind is FailureKind.LAW]
    assert {each.trait for each in laws} == {rule}
    assert all("test_laws_of_targets.py" in " ".join(each.notes) for each in laws)
