"""Every program of a few steps, compared with the reference under every schedule.

The policies are the presets with pools and caches of one or two entries.

A step is one op, or a free and the alloc that follows it.  Each write has data of its own and each
dispatch scalars of its own, so that any change of order shows.  Programs that differ only by
swapped names of their buffers are listed once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from gpusim.devices import SIMULATED
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Alloc, Capture, Copy, Dispatch, Flush, Free, Op, Read, Replay, Sync, Write
from gpusim.program import Program
from gpusim.runtime import Driver, Parts, WgpuDriver
from gpusim.runtime.policy import PRESETS, Policy
from gpusim.simulated import Scheduler, explore, open_device
from gpusim.trace import Trace
from properties.model.case import REPLAYED, Case, DeviceSpec
from properties.model.failure import Failure
from properties.model.target import Delivery, Target
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import Opened, TargetFactory
from properties.targets.runtime_target import RuntimeTarget

SIZE_BYTES = 8
_GRID = (1, 1, 1)
STEPS = (
    "write a",
    "write b",
    "affine a",
    "affine b",
    "scramble a",
    "scramble b",
    "fold a b",
    "fold b a",
    "copy a b",
    "copy b a",
    "read a",
    "read b",
    "renew a",
    "renew b",
    "edge a",
    "edge b",
    "replay a b",
    "replay b a",
    "flush",
    "sync",
)
"""The steps; ``edge`` writes three bytes, less than a word; ``renew`` frees and allocates.

``replay a b`` replays a graph captured at the start, over a and b: affine on a, then copy a to b.
"""


def short_programs(length: int) -> Iterator[tuple[str, Program]]:
    """Every program of ``length`` steps, with its steps as its name."""
    for steps in product(STEPS, repeat=length):
        if _starts_with_a(steps):
            yield "; ".join(steps), _Build().program(steps)


def program_of(name: str) -> Program:
    """The program of that name: steps joined by semicolons."""
    return _Build().program(tuple(name.split("; ")))


def _starts_with_a(steps: tuple[str, ...]) -> bool:
    """Whether a is named first.  Steps that name b first are others with the two names swapped."""
    named = next((step for step in steps if " " in step), "x a")
    return named.split()[1] == "a"


class _Build:
    """Builds one program; a renewed buffer gets another name."""

    def __init__(self) -> None:
        self._ops: list[Op] = []
        self._names = {"a": "a", "b": "b"}
        self._steps = 0
        self._reads = 0

    def program(self, steps: tuple[str, ...]) -> Program:
        """Two buffers with data, the steps, and a read of each buffer."""
        for buffer in ("a", "b"):
            self._ops.append(Alloc(buffer=buffer, size_bytes=SIZE_BYTES))
            self._step("write", [buffer])
        if any(step.startswith("replay") for step in steps):
            self._ops.append(_captured())
        for step in steps:
            kind, *buffers = step.split()
            self._step(kind, buffers)
        for buffer in ("a", "b"):
            # A sync after each read keeps the number of schedules small.
            self._step("read", [buffer])
            self._step("sync", [])
        return Program(tuple(self._ops))

    def _step(self, kind: str, buffers: list[str]) -> None:
        self._steps += 1
        names = tuple(self._names[buffer] for buffer in buffers)
        match kind:
            case "write":
                self._ops.append(Write(buffer=names[0], offset=0, data=self._data(SIZE_BYTES)))
            case "edge":
                self._ops.append(Write(buffer=names[0], offset=3, data=self._data(3)))
            case "copy":
                self._ops.append(_copy(*names))
            case "read":
                self._read(names[0])
            case "renew":
                self._renew(buffers[0])
            case "replay":
                self._replay(names)
            case "flush":
                self._ops.append(Flush())
            case "sync":
                self._ops.append(Sync())
            case _:
                self._ops.append(self._dispatch(kind, names))

    def _read(self, buffer: str) -> None:
        result = f"r{self._reads}"
        self._reads += 1
        self._ops.append(Read(buffer=buffer, offset=0, size_bytes=SIZE_BYTES, result=result))

    def _dispatch(self, kernel: str, buffers: tuple[str, ...]) -> Dispatch:
        odd = 2 * self._steps + 1
        scalars = {"affine": (odd, self._steps), "fold": (odd,)}.get(kernel, ())
        return Dispatch(kernel=kernel, buffers=buffers, scalars=scalars, grid=_GRID)

    def _replay(self, names: tuple[str, ...]) -> None:
        scalars = ((2 * self._steps + 1, self._steps),)
        bindings = tuple(zip(("a", "b"), names, strict=True))
        self._ops.append(Replay(graph="g", scalars=scalars, bindings=bindings))

    def _renew(self, buffer: str) -> None:
        old, new = self._names[buffer], f"{buffer}{self._steps}"
        self._ops += (Free(buffer=old), Alloc(buffer=new, size_bytes=SIZE_BYTES))
        self._names[buffer] = new

    def _data(self, size_bytes: int) -> bytes:
        return bytes(16 * self._steps + at for at in range(size_bytes))


def _captured() -> Capture:
    affine = Dispatch(kernel="affine", buffers=("a",), scalars=(1, 0), grid=_GRID)
    return Capture(graph="g", commands=(affine, _copy("a", "b")))


def _copy(source: str, target: str) -> Copy:
    return Copy(
        source=source,
        source_offset=0,
        target=target,
        target_offset=0,
        size_bytes=SIZE_BYTES,
    )


_ALL = Parts()
_SIMULATED = DeviceSpec(name=SIMULATED)
MOST_SCHEDULES = 20_000

MakeDriver = Callable[[object], Driver]


def check_on(driver: Driver, program: Program, policy: Policy) -> Failure | None:
    """Run ``program`` once.  Returns the first difference from the reference, or None."""
    factory = _OverDriver(driver)
    return judge(
        Case(program=program, policy=policy, device=_SIMULATED), factory, MEANING_ONLY
    ).failure


def check_under_every_schedule(
    program: Program,
    policy: Policy,
    *,
    until: int | None = None,
    parts: Parts = _ALL,
    make_driver: MakeDriver = WgpuDriver,
) -> tuple[int, Failure | None]:
    """Returns the number of schedules tried, and the first failure with its schedule.

    From op ``until`` on, everything happens as late as it may, and no other choice is tried: the
    reads at the end of a program would multiply the schedules of its steps.

    Raises:
        ProgramError: there are more than MOST_SCHEDULES.
    """
    case = Case(program=program, policy=policy, device=_SIMULATED)

    def once(scheduler: Scheduler) -> Failure | None:
        bounded = _Bounded(scheduler)
        driver = make_driver(open_device(scheduler=bounded))
        factory = _OverDriver(driver, parts, wrap=lambda target: _Bounding(target, bounded, until))
        return judge(case, factory, MEANING_ONLY).failure

    tried = 0
    for schedule, failure in explore(once, MOST_SCHEDULES):
        tried += 1
        if failure is not None:
            device = replace(_SIMULATED, scheduler=REPLAYED, schedule=schedule)
            return tried, replace(failure, notes=(f"policy: {policy}", f"device: {device}"))
    return tried, None


class _OverDriver(TargetFactory):
    """Opens every runtime over one given driver, and traces nothing."""

    capabilities = RuntimeTarget.capabilities
    is_ours = True

    def __init__(
        self,
        driver: Driver,
        parts: Parts = _ALL,
        *,
        wrap: Callable[[Target], Target] = lambda target: target,
    ) -> None:
        self.limits, self.kernels = driver.limits, BUILTIN
        self._driver, self._parts, self._wrap = driver, parts, wrap

    def open(self, case: Case) -> Opened:
        """A new runtime."""
        target = RuntimeTarget(self._driver, case.policy, kernels=self.kernels, parts=self._parts)
        return Opened(target=self._wrap(target), trace=Trace())


class _Bounded:
    """Asks a scheduler until ``is_over``; then takes the first option, which defers most."""

    runs = False

    def __init__(self, scheduler: Scheduler) -> None:
        self.is_over = False
        self._scheduler = scheduler

    def choose(self, options: tuple[str, ...]) -> int:
        return 0 if self.is_over else self._scheduler.choose(options)


class _Bounding:
    """A target that sets its scheduler's ``is_over`` after op ``until``, and at its close."""

    def __init__(self, target: Target, scheduler: _Bounded, until: int | None) -> None:
        self.capabilities, self.limits = target.capabilities, target.limits
        self._target, self._scheduler, self._until = target, scheduler, until
        self._performed = 0

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        delivery = self._target.perform(op)
        self._performed += 1
        self._scheduler.is_over = self._until is not None and self._performed >= self._until
        return delivery

    def close(self) -> None:
        """See ``Target``."""
        self._scheduler.is_over = True
        self._target.close()


CAPACITIES = (1, 2)


def small_policies(capacities: Sequence[int] = CAPACITIES) -> list[Policy]:
    """Returns each preset with each of ``capacities`` as the capacity of its pools and caches.

    A pool or cache of capacity 1 is full when a second entry is needed.
    """
    slot_bytes = Limits().uniform_offset_alignment_bytes
    return [
        _with_capacity(preset, capacity, slot_bytes)
        for preset in PRESETS.values()
        for capacity in capacities
    ]


def _with_capacity(preset: Policy, capacity: int, slot_bytes: int) -> Policy:
    return replace(
        preset,
        uniform_slots=capacity,
        uniform_cache=capacity,
        uniform_ring_bytes=capacity * slot_bytes,
        bind_group_cache=capacity,
        shape_cache=capacity,
        plan_cache=min(preset.plan_cache, capacity),
        staging_buffers=min(preset.staging_buffers, capacity),
    )
