"""An error of the device becomes the fault of the verb that called it, in one line."""

import asyncio
from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from gpusim.errors import (
    DeviceFault,
    DeviceLost,
    MapFailed,
    OutOfMemory,
    ProgramError,
    SubmitFailed,
)
from gpusim.kernels import AFFINE, SCRAMBLE
from gpusim.runtime import Driver, WgpuDriver
from gpusim.runtime.commands import DeviceBuffer, Range, Role, StagingMap
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from gpusim.runtime.drivers.package import package_of


class Refusing:
    """``inner``, of which the methods named in ``errors`` raise."""

    def __init__(self, inner: Any, errors: dict[str, Exception]) -> None:
        self._inner = inner
        self._errors = errors

    def __getattr__(self, name: str) -> Any:
        if name in self._errors:
            return self._raise
        found = getattr(self._inner, name)
        return Refusing(found, self._errors) if name == "queue" else found

    def _raise(self, *_: Any, **__: Any) -> None:
        raise next(iter(self._errors.values()))


class Verbs:
    """Every verb of a driver, on a device of which one method refuses."""

    def __init__(self, device: Any) -> None:
        self.errors: dict[str, Exception] = {}
        self.of = package_of(device).errors
        self.driver = WgpuDriver(Refusing(device, self.errors))
        self.pipeline = self.driver.compile(AFFINE, dynamic_uniforms=False)
        native = Refusing(None, self.errors)
        self.buffer = DeviceBuffer(uid=7, native=native, size_bytes=16, role=Role.STAGING)

    def call(self, verb: str) -> None:
        driver, buffer = self.driver, self.buffer
        mapping = StagingMap(buffer=buffer, size_bytes=16, native=Refusing(None, self.errors))
        calls: dict[str, Callable[[], object]] = {
            "create_buffer": lambda: driver.create_buffer(16, Role.STORAGE),
            "write_buffer": lambda: driver.write_buffer(buffer, 0, b"1234"),
            "create_bind_group": lambda: driver.create_bind_group(
                self.pipeline, (Range(buffer, 0, 16),)
            ),
            "create_command_encoder": lambda: driver.encode([], "asked", merge_passes=True),
            "submit": lambda: driver.submit(None),
            "map_async": lambda: driver.map(buffer, 16),
            "sync_wait": lambda: driver.take(mapping, bytes),
            "create_shader_module": lambda: driver.compile(SCRAMBLE, dynamic_uniforms=False),
        }
        calls[verb]()


@pytest.fixture
def verbs(device: Any) -> Verbs:
    return Verbs(device)


FAULTS = {
    "create_buffer": (OutOfMemory, "create a storage buffer of 16 bytes"),
    "write_buffer": (SubmitFailed, "write to buffer 7"),
    "create_bind_group": (OutOfMemory, "bind buffers for affine"),
    "create_command_encoder": (SubmitFailed, "encode a batch of 0 commands"),
    "submit": (SubmitFailed, "submit a batch"),
    "map_async": (MapFailed, "map buffer 7"),
    "sync_wait": (MapFailed, "map buffer 7"),
}


@pytest.mark.parametrize("verb", FAULTS)
def test_each_verb_has_its_own_fault(verbs: Verbs, verb: str) -> None:
    kind, what = FAULTS[verb]
    verbs.errors[verb] = verbs.of.GPUValidationError("it would not\n\n  caused by: a whim\n")
    with pytest.raises(DeviceFault) as raised:
        verbs.call(verb)
    assert type(raised.value) is kind
    assert str(raised.value) == f"cannot {what} because the device refused: caused by: a whim"
    assert raised.value.__cause__ is verbs.errors[verb]
    assert not verbs.driver.lost


@pytest.mark.parametrize("verb", FAULTS)
def test_a_device_without_memory_says_so_at_any_verb(verbs: Verbs, verb: str) -> None:
    verbs.errors[verb] = verbs.of.GPUOutOfMemoryError("")
    with pytest.raises(OutOfMemory, match=f"cannot {FAULTS[verb][1]} because the device refused"):
        verbs.call(verb)
    assert not verbs.driver.lost


@pytest.mark.parametrize("said", ["Parent device is lost", "Device lost"])
@pytest.mark.parametrize("verb", FAULTS)
def test_a_device_that_is_lost_stays_lost(verbs: Verbs, verb: str, said: str) -> None:
    verbs.errors[verb] = verbs.of.GPUValidationError(said)
    message = (
        f"cannot {FAULTS[verb][1]} because the device is lost (probably it was destroyed, or its "
        f"driver was reset): {said}"
    )
    with pytest.raises(DeviceLost) as raised:
        verbs.call(verb)
    assert str(raised.value) == message
    assert verbs.driver.lost


def test_waiting_on_a_device_that_went_away_ends(verbs: Verbs) -> None:
    """A destroyed device answers no map: who waits looks at it now and then."""
    never = SimpleNamespace(_state="pending", _thread_event=Event())
    mapping = StagingMap(buffer=verbs.buffer, size_bytes=16, native=never)
    verbs.errors["create_command_encoder"] = verbs.of.GPUValidationError("it is no more")
    message = "cannot wait for the device because the device is lost .*: it is no more$"
    with pytest.raises(DeviceLost, match=message):
        verbs.driver.wait(mapping)
    with pytest.raises(DeviceLost, match=message):
        asyncio.run(verbs.driver.wait_async(mapping))
    assert verbs.driver.lost


def test_an_error_without_words_is_named(verbs: Verbs) -> None:
    verbs.errors["submit"] = verbs.of.GPUInternalError("")
    with pytest.raises(SubmitFailed, match=r"because the device refused: GPUInternalError$"):
        verbs.call("submit")


def test_a_kernel_that_is_refused_is_the_programs_fault_and_a_broken_compiler_is_not(
    verbs: Verbs,
) -> None:
    verbs.errors["create_shader_module"] = verbs.of.GPUValidationError("no such builtin")
    with pytest.raises(ProgramError) as raised:
        verbs.call("create_shader_module")
    assert str(raised.value) == (
        "cannot compile kernel scramble because the device refuses its WGSL "
        "(probably a slip in its body):\nno such builtin"
    )
    verbs.errors["create_shader_module"] = verbs.of.GPUInternalError("out of registers")
    with pytest.raises(DeviceFault, match="cannot compile kernel scramble because the device ref"):
        verbs.call("create_shader_module")
    verbs.errors["create_shader_module"] = verbs.of.GPUValidationError("Device lost")
    with pytest.raises(DeviceLost, match="cannot compile kernel scramble because the device is"):
        verbs.call("create_shader_module")


@pytest.mark.parametrize("verb", ["adopt_buffer", "destroy_buffer"])
def test_no_fault_can_be_planned_for_a_verb_that_never_fails(verb: str) -> None:
    with pytest.raises(ProgramError, match=f"cannot plan OutOfMemory for {verb}"):
        Fault(verb=verb, call=0, error=OutOfMemory)


def test_a_loss_that_is_planned_for_a_destroy_only_makes_the_device_lost(driver: Driver) -> None:
    faulty = FaultyDriver(driver, Fault(verb="destroy_buffer", call=0, error=DeviceLost))
    faulty.destroy_buffer(faulty.create_buffer(4, Role.STORAGE))
    assert faulty.lost
