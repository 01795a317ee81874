"""Two runtimes on one driver: each does its own program, whatever the other does in between."""

from collections import Counter
from dataclasses import replace
from threading import get_ident
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import pytest

from gpusim.errors import DeviceFault
from gpusim.kernels import AFFINE, BUILTIN, SCRAMBLE, Kernel
from gpusim.ops import Capture, Dispatch, DispatchIndirect, Write
from gpusim.program import Program
from gpusim.runtime import Buffer, Driver, Parts, Runtime
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.caches import CachedBindGroups, CacheState
from gpusim.runtime.commands import DeviceBuffer, Pipeline
from gpusim.runtime.graph import Captures
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.loop_polls import LoopPolls
from gpusim.runtime.policy import PRESETS
from gpusim.runtime.readbacks import Readbacks
from properties.clients import BESIDE, other_program
from properties.execute import execute
from properties.model.case import PLAIN, Case, parse_device
from properties.mutants.mistakes import MUTANTS
from properties.mutants.mutant import Mutant, Overlay, around_driver
from properties.mutants.oracles import factory_of
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import AdapterFactory, RuntimeFactory
from properties.targets.twins import twin_of, with_twins

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nwrite a 0 0102030405060708\ndispatch affine a 3,5 1x1x1\n"
    "dispatch affine a 3,5 1x1x1\nwrite a 4 0a0b0c0d\ndispatch affine a 7,2 1x1x1\n"
    "write a 8 1a1b1c1d\ncopy a 0 b 0 64\nread a 0 64 -> r0\nread b 0 64 -> r1\nsync\n"
    "dispatch affine a 3,5 1x1x1\nfree a\nread b 0 64 -> r2\nsync\n"
    + "dispatch affine b 3,5 1x1x1\n" * 8
    + "read b 0 64 -> r3\n"
)

LENGTHS = (len(PROGRAM), len(PROGRAM) - 2)
"""Of these the runtime beside is closed before the first, and after it."""


def case_of(device: str, policy: str, program: Program = PROGRAM, seed: str = "") -> Case:
    return Case(
        program=program,
        device=parse_device(device),
        policy=PRESETS[policy],
        client=BESIDE,
        seed=seed,
    )


SEEDS = ("0", "1", "5", "7")
"""With the first two the runtime beside has another policy; with the middle two, a thread."""


@pytest.mark.parametrize("policy", PRESETS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("seed", SEEDS)
def test_two_sound_runtimes_do_their_own_programs(
    policy: str, length: int, seed: str, device_name: str
) -> None:
    program = Program(PROGRAM.ops[:length])
    factory = RuntimeFactory(device_name)
    case = case_of(device_name, policy, program, seed)
    beside = execute(case, factory).beside
    assert beside is not None
    assert len(beside.history.outcomes) == len(beside.case.program)
    assert judge(case, factory).failure is None


def together() -> list[Mutant]:
    return [mutant for mutant in MUTANTS if mutant.place.startswith("together:")]


@pytest.mark.parametrize("mutant", together(), ids=lambda mutant: mutant.name)
def test_what_two_runtimes_share_by_mistake_is_found(mutant: Mutant) -> None:
    factory = factory_of(mutant, "simulated", BUILTIN)
    programs = [Program(PROGRAM.ops[:length]) for length in LENGTHS]
    cases = [case_of("simulated", policy, each) for policy in PRESETS for each in programs]
    assert any(judge(case, factory, MEANING_ONLY).failure is not None for case in cases)


class OneCapture(Runtime):
    """While one runtime captures, what others on its driver call is captured as well."""

    shared: ClassVar[WeakKeyDictionary[Driver, Captures]] = WeakKeyDictionary()

    def _assemble_stores(self, parts: Parts) -> None:
        super()._assemble_stores(parts)
        self._captures = self.shared.setdefault(self._driver, self._captures)


class AnyHandle(BufferTable):
    def device_buffer(self, buffer: Buffer) -> DeviceBuffer:
        native = buffer._device_buffer
        return super().device_buffer(buffer) if native is None else native


class TakesHandles(Runtime):
    """The buffers of other runtimes are accepted."""

    def _assemble_stores(self, parts: Parts) -> None:
        super()._assemble_stores(parts)
        self._buffers.__class__ = AnyHandle


class OneLoop(Readbacks):
    """The runtimes of a driver share the polls of a loop."""

    shared: ClassVar[WeakKeyDictionary[Driver, LoopPolls]] = WeakKeyDictionary()

    def __init__(self, driver: Driver, *given: Any) -> None:
        super().__init__(driver, *given)
        self._loop_polls = self.shared.setdefault(driver, self._loop_polls)


class OneFault(Readbacks):
    """The runtimes of a driver share the fault that nobody raised yet."""

    shared: ClassVar[WeakKeyDictionary[Driver, dict[str, DeviceFault | None]]] = WeakKeyDictionary()

    def __init__(self, driver: Driver, *given: Any) -> None:
        self._faults = self.shared.setdefault(driver, {})
        super().__init__(driver, *given)

    @property
    def unseen(self) -> DeviceFault | None:
        return self._faults.get("")

    @unseen.setter
    def unseen(self, fault: DeviceFault | None) -> None:
        self._faults[""] = fault


class OneCount(Runtime):
    """The runtimes of a driver count their ops together."""

    shared: ClassVar[WeakKeyDictionary[Driver, dict[str, int]]] = WeakKeyDictionary()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._done = self.shared.setdefault(self._driver, self._done)


class OneClock(Runtime):
    """The runtimes of a driver count their submits together."""

    shared: ClassVar[WeakKeyDictionary[Driver, QueueClock]] = WeakKeyDictionary()

    def _assemble(self, parts: Parts) -> None:
        clock = self.shared.setdefault(self._driver, parts.clock())
        super()._assemble(replace(parts, clock=lambda: clock))


class OneReason(OneClock):
    """The runtimes of a driver also count the reasons of their submits together."""

    reasons: ClassVar[WeakKeyDictionary[Driver, Counter[str]]] = WeakKeyDictionary()

    def _assemble(self, parts: Parts) -> None:
        super()._assemble(parts)
        self._recorder.flushes = self.reasons.setdefault(self._driver, Counter())


class OneOwner(Runtime):
    """The thread that made the first runtime of a driver owns all of them."""

    shared: ClassVar[WeakKeyDictionary[Driver, int]] = WeakKeyDictionary()

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._guard._thread = self.shared.setdefault(self._driver, get_ident())


class OneKindOfPipeline(Overlay):
    """A kernel has one pipeline, whether its scalars are found by dynamic offsets or not."""

    def __init__(self, inner: Driver) -> None:
        super().__init__(inner)
        self._made: dict[Kernel, Pipeline] = {}

    def compile(self, kernel: Kernel, *, dynamic_uniforms: bool) -> Pipeline:
        if kernel not in self._made:
            self._made[kernel] = self._inner.compile(kernel, dynamic_uniforms=dynamic_uniforms)
        return self._made[kernel]


class OneCache(CachedBindGroups):
    """The runtimes of a driver share their bind groups, and the counts of these."""

    shared: ClassVar[WeakKeyDictionary[Driver, Any]] = WeakKeyDictionary()

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        super().__init__(driver, caches)
        self._cache = self.shared.setdefault(driver, self._cache)
        self.counts = self._cache.counts


class OneShelf(CachedBindGroups):
    """The runtimes of a driver share their bind groups, and each counts for itself."""

    shared: ClassVar[WeakKeyDictionary[Driver, Any]] = WeakKeyDictionary()

    def __init__(self, driver: Driver, caches: CacheState) -> None:
        super().__init__(driver, caches)
        self._cache._entries = self.shared.setdefault(driver, self._cache._entries)


def _groups(kept: type[CachedBindGroups]) -> dict[str, Any]:
    return {"parts": Parts(bind_groups=lambda driver, _, caches: kept(driver, caches))}


MEETING = Program.parse(
    "alloc a 64\nalloc b 64\nread a 0 64 -> r0\nread b 0 64 -> r1\nflush\n"
    "capture g dispatch affine a 3,5 1x1x1; copy a 0 b 0 64\nreplay g * -\n"
    "write a 0 01020304\nwrite b 0 05060708\nread a 0 64 -> r2\nread b 0 32 -> r3\n"
    "copy b 0 a 0 4\nsync\nread b 0 16 -> r4\n"
)


@pytest.mark.parametrize(
    ("faults", "seed", "broken"),
    [
        ("", "7", {"make_runtime": OneCapture}),
        ("", "7", {"make_runtime": TakesHandles}),
        ("", "7", {"parts": Parts(readbacks=OneLoop)}),
        (" refused_maps=0", "7", {"parts": Parts(readbacks=OneFault)}),
        ("", "7", {"make_runtime": OneCount}),
        ("", "7", {"make_runtime": OneClock}),
        ("", "7", {"make_runtime": OneReason}),
        ("", "5", {"make_runtime": OneOwner}),
        ("", "7", _groups(OneCache)),
        ("", "7", _groups(OneShelf)),
    ],
    ids=[
        *("capture", "handle", "loop", "fault", "count", "clock", "reason", "owner"),
        *("cache", "shelf"),
    ],
)
def test_what_belongs_to_one_runtime_is_looked_at_beside_another(
    faults: str, seed: str, broken: dict[str, Any]
) -> None:
    case = case_of(f"simulated{faults}", "ring", MEETING, seed)
    assert judge(case, RuntimeFactory("simulated", **broken), MEANING_ONLY).failure is not None
    assert judge(case, RuntimeFactory("simulated"), MEANING_ONLY).failure is None


REPLAYING = Program.parse(
    "alloc a 64\ncapture g dispatch affine a 3,5 1x1x1; dispatch affine a 7,5 1x1x1\n"
    "dispatch affine a 3,5 1x1x1\nreplay g 11,13;15,17 -\nread a 0 64 -> r0\nsync\n" + "sync\n" * 6
)


def test_the_pipelines_of_two_policies_are_looked_at() -> None:
    broken = around_driver(OneKindOfPipeline)
    shown = [
        judge(case_of("simulated", policy, REPLAYING, "0"), factory, MEANING_ONLY).failure
        for policy in PRESETS
        for factory in (
            RuntimeFactory("simulated", make_driver=broken),
            RuntimeFactory("simulated"),
        )
    ]
    assert any(shown[::2])
    assert not any(shown[1::2])


def test_a_failure_beside_tells_the_other_program() -> None:
    (mutant,) = [one for one in together() if one.name == "pipeline_keyed_by_name"]
    failure = judge(case_of("simulated", "ring"), factory_of(mutant, "simulated", BUILTIN)).failure
    assert failure is not None
    assert failure.op.endswith("of the runtime beside")
    assert "affine_twin" in str(failure)


def test_other_clients_and_targets_have_no_runtime_beside() -> None:
    case = case_of("simulated", "ring")
    assert execute(case, AdapterFactory("simulated")).beside is None
    plain = Case(program=PROGRAM, device=parse_device("simulated"), client=PLAIN)
    assert execute(plain, RuntimeFactory("simulated")).beside is None


def test_a_twin_has_the_name_and_another_text() -> None:
    twin = twin_of(AFFINE)
    assert twin is not None
    assert twin is twin_of(AFFINE)
    assert (twin.name, twin.buffers) == (AFFINE.name, AFFINE.buffers)
    assert twin.wgsl() != AFFINE.wgsl()
    assert twin_of(SCRAMBLE) is None


def test_the_other_program_has_other_data_and_no_grid_on_the_gpu() -> None:
    indirect = (
        "alloc a 64\nalloc c 12\nwrite c 0 010000000200000001000000\n"
        "dispatch_indirect affine a 3,5 c 0\ncapture g dispatch_indirect affine a 3,5 c 0\n"
        "replay g * -\nread a 0 64 -> r0\n"
    )
    other = other_program(Program.parse(indirect), with_twins(BUILTIN))
    assert not any(isinstance(op, DispatchIndirect | Capture) for op in other)
    mine, theirs = PROGRAM, other_program(PROGRAM, with_twins(BUILTIN))
    assert len(theirs) < len(mine)
    for kind in (Write, Dispatch):
        pairs = zip(mine, theirs, strict=False)
        assert any(one != other for one, other in pairs if isinstance(one, kind))
