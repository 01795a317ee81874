"""Misuse, one row each: refused in a sentence that names the argument and the remedy.

Before each a batch is open and a read is under way.  After it both are as they were, and the
correct use beside it works.
"""

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpusim
from gpusim import (
    PRESETS,
    Binding,
    GpusimError,
    Kernel,
    Kernels,
    NoDevice,
    Policy,
    ProgramError,
    Runtime,
    Scalar,
)
from gpusim.kernels import AFFINE, FOLD
from gpusim.runtime import Driver
from properties.clients.forbidden import Row
from properties.clients.misuses import OF_A_RUNTIME, WORDS

AFTER = [7, 10, 13, 16]
"""What ``x`` holds once the open batch was carried out: 3*x + 7."""


def _tiny(binding_bytes: int) -> dict[str, int]:
    return {"max-storage-buffer-binding-size": binding_bytes}


def nothing(arrays: object, scalars: object, groups: int) -> None:
    """A meaning for kernels that are never run."""


def kernel(**fields: Any) -> Kernel:
    """A kernel that is sound but for ``fields``."""
    sound = {"name": "k", "buffers": (Binding(name="x"),), "body": "", "meaning": nothing}
    return Kernel(**{**sound, **fields})


@pytest.fixture(params=["ring", "pooled"])
def at(driver: Driver, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A runtime in the middle of its work, and the things that are misused."""
    with (
        Runtime(driver=driver) as other,
        Runtime(driver=driver, policy=request.param) as runtime,
    ):
        foreign = other.alloc(16, label="foreign")
        x, y, gone = (runtime.alloc(16, label=name) for name in ("x", "y", "gone"))
        runtime.free(gone)
        closed = Runtime(driver=driver)
        closed.close()
        with runtime.capture() as graph:
            runtime.dispatch(AFFINE, [x], (3, 1))
            runtime.dispatch(AFFINE, [x], (5, 2))
        runtime.write(x, WORDS)
        ticket = runtime.read(x, dtype=np.uint32)
        runtime.dispatch(AFFINE, [x], (3, 7))
        yield SimpleNamespace(
            runtime=runtime,
            driver=driver,
            closed=closed,
            x=x,
            y=y,
            gone=gone,
            foreign=foreign,
            graph=graph,
            begun=runtime.capture(),
            ticket=ticket,
        )
        other.free(foreign)
        runtime.free(x)
        runtime.free(y)


KERNELS: list[Row] = [
    ("half floats", lambda at: Scalar(name="a", dtype="f16"), ProgramError, "dtype='f16'"),  # type: ignore[arg-type]
    (
        "vectors",
        lambda at: Binding(name="a", dtype="vec4<f32>"),  # type: ignore[arg-type]
        ProgramError,
        "dtype='vec4<f32>' .*'f32' was meant",
    ),
    (
        "a dtype of NumPy",
        lambda at: Binding(name="a", dtype=np.uint32),  # type: ignore[arg-type]
        ProgramError,
        "its name in WGSL was meant",
    ),
    (
        "an access of writing",
        lambda at: Binding(name="a", access="write"),  # type: ignore[arg-type]
        ProgramError,
        "access='write' .*'read_write' was meant",
    ),
    (
        "atomics that are only read",
        lambda at: Binding(name="a", atomic=True),
        ProgramError,
        "access='read_write' was forgotten",
    ),
    ("a word of WGSL", lambda at: Binding(name="var"), ProgramError, "name='var'"),
    ("a group of two dimensions", lambda at: kernel(group_size=(8, 8)), ProgramError, "product"),
    ("no lanes", lambda at: kernel(group_size=0), ProgramError, "group_size=0"),
    ("a comma too few", lambda at: kernel(buffers=Binding(name="x")), ProgramError, "comma"),
    (
        "two bindings of a name",
        lambda at: kernel(buffers=(Binding(name="x"), Binding(name="x"))),
        ProgramError,
        "called 'x'",
    ),
    (
        "a name of the shader's",
        lambda at: kernel(buffers=(Binding(name="args"),)),
        ProgramError,
        "declares 'args'",
    ),
    ("no meaning", lambda at: kernel(meaning=None), ProgramError, "meaning=None"),
    ("a tolerance of NaN", lambda at: kernel(tolerance=float("nan")), ProgramError, "=nan"),
    ("bad WGSL", lambda at: at.runtime.dispatch(kernel(body="x["), [at.x]), ProgramError, "a slip"),
    ("a list of kernels", lambda at: Kernels([AFFINE]), ProgramError, "a star is missing"),  # type: ignore[arg-type]
]
MAKING: list[Row] = [
    ("a device of nobody", lambda at: Runtime("nobody"), NoDevice, "'nobody' .*a misspelling"),
    ("a number for a device", lambda at: Runtime(3), NoDevice, "device=3"),
    ("a policy for a device", lambda at: Runtime("ring"), NoDevice, "a policy comes second"),
    (
        "a policy of nobody",
        lambda at: Runtime("simulated", "rnig"),
        ProgramError,
        "policy='rnig' .*eager, lazy",
    ),
    (
        "a device beside a driver",
        lambda at: Runtime("simulated", driver=at.driver),
        NoDevice,
        "device='simulated' .*left over",
    ),
    (
        "a device for a driver",
        lambda at: Runtime(driver=gpusim.open_device("simulated")),
        NoDevice,
        "driver=.*device= was meant",
    ),
    (
        "a device of tiny bindings",
        lambda at: Runtime(gpusim.simulated.open_device(limits=_tiny(260))),
        NoDevice,
        "hold 260 bytes, aligned to 256",
    ),
    ("a batch of a float", lambda at: Policy(batch_commands=1.5), ProgramError, "=1.5"),  # type: ignore[arg-type]
    (
        "a capacity of NaN",
        lambda at: Policy(staging_buffers=float("nan")),  # type: ignore[arg-type]
        ProgramError,
        "staging_buffers=nan",
    ),
    (
        "a policy that begins as a preset",
        lambda at: Policy(name="ring fast"),
        ProgramError,
        "name='ring fast'",
    ),
    ("a policy with a sign", lambda at: Policy(name="a=1"), ProgramError, "name='a=1'"),
    ("a policy of no word", lambda at: Policy(name=""), ProgramError, "name=''"),
    (
        "a field twice",
        lambda at: Runtime("simulated", "ring batch_commands=3 batch_commands=4"),
        ProgramError,
        "gives 'batch_commands' twice",
    ),
    ("a capacity of None", lambda at: Policy(uniform_slots=None), ProgramError, "=None"),  # type: ignore[arg-type]
    ("a flag of a word", lambda at: Policy(merge_passes="no"), ProgramError, "'no'"),  # type: ignore[arg-type]
    (
        "a ring past the device",
        lambda at: Runtime(driver=at.driver, policy=Policy(uniform_ring_bytes=1 << 60)),
        ProgramError,
        "uniform_ring_bytes=.*at most",
    ),
]
ROWS = OF_A_RUNTIME + KERNELS + MAKING


def test_the_table_names_no_misuse_twice() -> None:
    assert len({name for name, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("misuse", "error", "says"), [pytest.param(*row, id=name) for name, *row in ROWS]
)
def test_a_misuse_is_named_and_changes_nothing(
    at: Any, misuse: Callable[[Any], object], error: type[GpusimError], says: str
) -> None:
    before = at.runtime.stats()
    with pytest.raises(error, match=r"(?s)^cannot .* because .*probably") as raised:
        misuse(at)
    assert type(raised.value) is error
    with pytest.raises(error, match=says.replace("{x}", re.escape(repr(at.x)))):
        misuse(at)
    after = at.runtime.stats()
    assert (after.commands, after.submits, after.reads, after.live_buffers) == (
        before.commands,
        before.submits,
        before.reads,
        before.live_buffers,
    )
    assert at.ticket.result().tolist() == WORDS.tolist()
    assert at.runtime.read(at.x, dtype="u32").result().tolist() == AFTER
    at.graph.replay([None, {"b": 0, "a": 1}])
    assert np.asarray(at.runtime.read(at.x, dtype=np.uint32)).tolist() == [
        3 * word + 1 for word in AFTER
    ]


def test_the_smallest_bindings_move_bytes_at_any_offset() -> None:
    with Runtime(gpusim.simulated.open_device(limits=_tiny(264))) as runtime:
        x, y = runtime.alloc(1024), runtime.alloc(1024)
        data = bytes(n % 251 for n in range(1024))
        runtime.write(x, data)
        runtime.copy(x, y, source_offset=254, target_offset=509, size_bytes=300)
        assert runtime.read(y, 509, 300).result() == data[254:554]
        runtime.free(x)
        runtime.free(y)


def test_what_is_close_to_a_misuse_works(at: Any) -> None:
    runtime, x, y = at.runtime, at.x, at.y
    runtime.write(x, np.asfortranarray(WORDS.reshape(2, 2)).T.astype(np.float16))
    runtime.write(x, np.repeat(WORDS, 2)[::2], np.int64(0))
    runtime.dispatch(AFFINE, (buffer for buffer in [x]), {"b": 7, "a": 3}, np.array([1, 1]))
    runtime.dispatch(FOLD, {"x": x, "y": y}.values(), (n for n in [2]), np.uint8(1))
    runtime.dispatch(AFFINE, [y], np.array([1, 1], np.uint32))
    with runtime.capture() as step:
        runtime.dispatch(AFFINE, iter([y]), {"a": 1, "b": 1})
    step.replay()
    step.replay([{"a": 1, "b": 2}])
    assert runtime.read(y, shape=np.int64(4), dtype="u32").result().tolist() == [
        word + 4 for word in AFTER
    ]
    runtime.free(runtime.alloc(np.uint32(8)))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_number_of_numpy_is_a_number_of_a_policy(preset: str) -> None:
    policy = Policy(name=preset, batch_commands=np.int64(3))  # type: ignore[arg-type]
    assert type(policy.batch_commands) is int
