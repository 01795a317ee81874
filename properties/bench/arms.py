"""Arms: each plays one round of a workload on buffers of its own, with the runtime or without.

A chain of dependent dispatches is data: the kernel, how often it runs, and how long the caller
computes in between.

Two arms have no runtime.  One is the floor, native calls with as little Python as possible; it has
a file of its own (``bare.py``).  The other is plain wgpu-py: it makes pipeline, layout, bind group
and uniform buffer once, and for each dispatch a queue write of its scalars, a command buffer and a
submit.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from time import perf_counter as now
from time import process_time
from typing import Any

import numpy as np
from wgpu import BufferUsage

from gpusim.errors import InternalError
from gpusim.kernels import AFFINE, Binding, Kernel, Scalar
from gpusim.kernels.kernel import Array
from gpusim.runtime import Buffer, Driver, Policy, Runtime
from properties.bench.bare import bare
from properties.bench.timing import BARE, Sample, Watch

_GROUP = 64


def _spin(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    a, b, turns = scalars
    head = x[: groups * _GROUP]
    for turn in range(int(turns)):
        head[:] = (head ^ np.uint32(turn)) * a + b


SPIN = Kernel(
    name="bench_spin",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(Scalar(name="a"), Scalar(name="b"), Scalar(name="turns")),
    body=(
        "    if (i < arrayLength(&x)) {\n"
        "        var t = x[i];\n"
        "        for (var turn = 0u; turn < args.turns; turn++) {\n"
        "            t = (t ^ turn) * args.a + args.b;\n"
        "        }\n"
        "        x[i] = t;\n"
        "    }"
    ),
    meaning=_spin,
)
"""x <- a*(x xor turn) + b, ``turns`` times: more turns are more work for the GPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """``dispatches`` dispatches in a row, each with scalars of its own.

    With one buffer, each dispatch depends on the one before it.  With several ``buffers``, the
    dispatches use them in turn, and each depends on the last dispatch that used its buffer.
    """

    name: str
    dispatches: int
    buffers: int = 1
    kernel: Kernel = AFFINE
    words: int = 64
    turns: int | None = None
    """The last scalar of ``SPIN``; None for another kernel."""
    caller_us: float = 0.0
    """How long the caller computes before each dispatch, in microseconds."""

    @property
    def scalars(self) -> list[tuple[int, ...]]:
        """The scalars of each dispatch."""
        last = () if self.turns is None else (self.turns,)
        return [(2 * n + 1, n, *last) for n in range(self.dispatches)]

    @property
    def groups(self) -> int:
        """Workgroups of each dispatch, which has a lane for each word."""
        return -(-self.words // self.kernel.group_size)


_Round = Callable[[], tuple[Sample, bytes]]


class Arm:
    """Plays rounds, and keeps the bytes that the last one left."""

    def __init__(self, play: _Round, close: Callable[[], None] = lambda: None) -> None:
        self.words = b""
        self.close = close
        self._play = play

    def __call__(self) -> Sample:
        start = process_time()
        sample, self.words = self._play()
        return replace(sample, process_seconds=process_time() - start)


def bare_arm(device: Any, chain: Chain) -> Arm:
    """The floor (``bare.py``) as an arm."""
    play_bare = bare(
        device, chain.kernel.wgsl(), chain.words, chain.scalars, chain.groups, chain.buffers
    )

    def play() -> tuple[Sample, bytes]:
        record, cpu, total, words = play_bare()
        return Sample(record_seconds=record, cpu_seconds=cpu, total_seconds=total), words

    return Arm(play)


def with_floor(device: Any, chain: Chain) -> dict[str, Arm]:
    """The floor under its name; empty if the device is not one of wgpu-native."""
    if type(device).__module__.startswith("wgpu.backends.wgpu_native"):
        return {BARE: bare_arm(device, chain)}
    return {}


def plain_arm(device: Any, chain: Chain) -> Arm:
    """Eager wgpu-py (``Plain``) as an arm."""
    return Arm(Plain(device, chain).play)


def runtime_arm(driver: Driver, policy: Policy, chain: Chain) -> Arm:
    """The runtime with a policy."""
    runtime = Runtime(driver=driver, policy=policy)
    places = [runtime.alloc(4 * chain.words) for _ in range(chain.buffers)]
    kernel, groups, caller_seconds = chain.kernel, chain.groups, chain.caller_us / 1e6
    steps = list(zip(cycle([place] for place in places), chain.scalars, strict=False))

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        for buffers, values in steps:
            if caller_seconds:
                _spend(caller_seconds)
            runtime.dispatch(kernel, buffers, values, groups)
        return _read_all(runtime, places, watch)

    def close() -> None:
        for place in places:
            runtime.free(place)
        runtime.close()

    return Arm(play, close)


def _read_all(runtime: Runtime, places: list[Buffer], watch: Watch) -> tuple[Sample, bytes]:
    """Reads all buffers.  Returns the sample, which ends when the bytes are here, and the bytes."""
    tickets = [runtime.read(place) for place in places]
    runtime.flush()
    watch.pause()
    runtime.sync()
    return watch.stop(), b"".join(ticket.result() for ticket in tickets)


def play_for(seconds: float, arm: Arm) -> None:
    """Play rounds of ``arm`` until ``seconds`` have passed."""
    end = now() + seconds
    while now() < end:
        arm()


def replay_arm(driver: Driver, chain: Chain) -> Arm:
    """Captures the chain once; each round replays it with the chain's scalars.

    Two sets of buffers take turns.  A round first copies what the last round left in the other set.
    """
    runtime = Runtime(driver=driver)
    here, there = ([runtime.alloc(4 * chain.words) for _ in range(chain.buffers)] for _ in range(2))
    # The captured scalars are zeros, so a replay that fails to replace one leaves wrong words.
    nothing = (0,) * len(chain.kernel.scalars)
    with runtime.capture() as graph:
        for n in range(chain.dispatches):
            runtime.dispatch(chain.kernel, [here[n % chain.buffers]], nothing, chain.groups)
    sides, scalars = [here, there], chain.scalars

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        sides.reverse()
        new, old = sides
        for source, target in zip(old, new, strict=True):
            runtime.copy(source, target)
        graph.replay(scalars, dict(zip(here, new, strict=True)))
        return _read_all(runtime, new, watch)

    def close() -> None:
        for buffer in here + there:
            runtime.free(buffer)
        runtime.close()

    return Arm(play, close)


def check_same(workload: str, arms: Mapping[str, Arm]) -> None:
    """InternalError unless all arms, after equally many rounds, left the same words."""
    first, *others = arms
    for other in others:
        if arms[other].words != arms[first].words:
            raise InternalError(
                f"cannot compare the arms of {workload!r} because {other!r} and {first!r} "
                "have different words (probably one of them lost a command)"
            )


def _spend(seconds: float) -> None:
    """Keep the core busy, like a computation of the caller."""
    end = now() + seconds
    while now() < end:
        pass


class Plain:
    """A chain of dispatches in eager wgpu-py."""

    def __init__(self, device: Any, chain: Chain) -> None:
        self._device, self._groups, scalars = device, chain.groups, chain.scalars
        self._pack = struct.Struct(f"<{len(scalars[0])}I").pack
        self._xs = [
            device.create_buffer(
                size=4 * chain.words, usage=BufferUsage.STORAGE | BufferUsage.COPY_SRC
            )
            for _ in range(chain.buffers)
        ]
        self._uniform = device.create_buffer(
            size=4 * len(scalars[0]), usage=BufferUsage.UNIFORM | BufferUsage.COPY_DST
        )
        self._out = device.create_buffer(
            size=4 * chain.words * chain.buffers,
            usage=BufferUsage.MAP_READ | BufferUsage.COPY_DST,
        )
        module = device.create_shader_module(code=chain.kernel.wgsl())
        self._pipeline = device.create_compute_pipeline(
            layout="auto", compute={"module": module, "entry_point": "main"}
        )
        bound = [self._bound(x) for x in self._xs]
        self._steps = list(zip(cycle(bound), scalars, strict=False))

    def _bound(self, x: Any) -> Any:
        entries = [
            {"binding": number, "resource": {"buffer": buffer}}
            for number, buffer in enumerate((x, self._uniform))
        ]
        layout = self._pipeline.get_bind_group_layout(0)
        return self._device.create_bind_group(layout=layout, entries=entries)

    def play(self) -> tuple[Sample, bytes]:
        """The sample of one round, and the bytes of the buffers."""
        watch = Watch()
        device, queue = self._device, self._device.queue
        for group, values in self._steps:
            queue.write_buffer(self._uniform, 0, self._pack(*values))
            encoder = device.create_command_encoder()
            compute_pass = encoder.begin_compute_pass()
            compute_pass.set_pipeline(self._pipeline)
            compute_pass.set_bind_group(0, group)
            compute_pass.dispatch_workgroups(self._groups)
            compute_pass.end()
            queue.submit([encoder.finish()])
        watch.pause()
        encoder = device.create_command_encoder()
        for number, x in enumerate(self._xs):
            encoder.copy_buffer_to_buffer(x, 0, self._out, number * x.size, x.size)
        queue.submit([encoder.finish()])
        self._out.map_async("READ_NOSYNC").sync_wait()
        value = bytes(self._out.read_mapped(copy=False))
        self._out.unmap()
        return watch.stop(), value
