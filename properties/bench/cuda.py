"""Arms on CUDA: the chain of ``AFFINE`` as other packages for Python run it, if installed.

Each has one kernel launch for each dispatch, written like the examples of its package, on one
stream.  A package is imported when its arm is made.  Each arm is first tried on a short chain.  If
its package is missing, has no CUDA device or computes wrong words, the arm is left out, and a note
gives the reason.  Nothing of the runtime is used here.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from properties.bench.arms import Arm, Chain
from properties.bench.timing import Sample, Watch

_SOURCE = """
extern "C" __global__ void affine(unsigned int* x, long long a, long long b) {
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < WORDS) { x[i] = (unsigned int)a * x[i] + (unsigned int)b; }
}
"""
_TRIED_DISPATCHES = 6

Words = list[Any]
"""The buffers of a chain, in a package's own form."""
Steps = list[tuple[int, int, int]]
"""For each dispatch, its buffer's number and its two scalars."""


class Launches(NamedTuple):
    """What an arm does in a round: launch every dispatch, then copy the words to the host."""

    launch: Callable[[], None]
    read: Callable[[], bytes]


Maker = Callable[[Chain], Launches]


class Entrant(NamedTuple):
    """The packages that an arm imports, and the function that gets its launches ready."""

    packages: tuple[str, ...]
    make: Maker


def cuda_arms(
    chain: Chain, entrants: Mapping[str, Entrant] | None = None
) -> tuple[dict[str, Arm], list[str]]:
    """The arms that can run, and for each of the others a line that says why it cannot."""
    arms: dict[str, Arm] = {}
    notes = []
    for name, entrant in (ENTRANTS if entrants is None else entrants).items():
        reason = _obstacle(entrant, replace(chain, dispatches=_TRIED_DISPATCHES))
        if reason:
            notes.append(f"{name}: not run: {reason}")
        else:
            arms[name] = _arm(entrant.make(chain))
    return arms, notes


def _obstacle(entrant: Entrant, chain: Chain) -> str | None:
    """Why an arm cannot take part; None if it can."""

    def works() -> bool:
        arm = _arm(entrant.make(chain))
        arm()
        return arm.words == meant(chain)

    return obstacle(entrant.packages, works, "it left wrong words in its buffers")


def obstacle(packages: Sequence[str], works: Callable[[], bool], wrong: str) -> str | None:
    """Why an arm over these packages cannot take part; ``wrong`` if ``works()`` is false."""
    for package in packages:
        if find_spec(package) is None:
            return f"package {package} is not installed"
    try:
        return None if works() else wrong
    # Without a device, foreign packages raise whatever they like, even AssertionError.
    except Exception as error:
        said = str(error).strip().splitlines()
        return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def meant(chain: Chain, rounds: int = 1) -> bytes:
    """The words that ``rounds`` rounds of a chain leave in buffers of zeros."""
    words = np.zeros((chain.buffers, chain.words), dtype=np.uint32)
    for _ in range(rounds):
        for number, scalars in enumerate(chain.scalars):
            values = tuple(np.uint32(scalar) for scalar in scalars)
            chain.kernel.meaning((words[number % chain.buffers],), values, chain.groups)
    return words.tobytes()


def _arm(launches: Launches) -> Arm:
    launch, read = launches

    def play() -> tuple[Sample, bytes]:
        watch = Watch()
        launch()
        watch.pause()
        words = read()
        return watch.stop(), words

    return Arm(play)


def _steps(chain: Chain) -> Steps:
    return [(n % chain.buffers, a, b) for n, (a, b) in enumerate(chain.scalars)]


def _cupy(chain: Chain) -> Launches:
    """CuPy: a ``RawKernel`` in CUDA C is compiled once, and launched for each dispatch."""
    cupy: Any = import_module("cupy")
    kernel, xs = _cupy_kernel(cupy, chain)
    grid, block = (chain.groups,), (chain.kernel.group_size,)
    launches = [(xs[place], a, b) for place, a, b in _steps(chain)]

    def launch() -> None:
        for arguments in launches:
            kernel(grid, block, arguments)

    return Launches(launch, lambda: b"".join(x.get().tobytes() for x in xs))


def _cuda_graph(chain: Chain) -> Launches:
    """The launches of ``cupy``, captured once with their scalars as a CUDA graph."""
    cupy: Any = import_module("cupy")
    kernel, xs = _cupy_kernel(cupy, chain)
    grid, block = (chain.groups,), (chain.kernel.group_size,)
    # The first launch loads the module, which is forbidden in a capture.  1 * x + 0 is still x.
    kernel(grid, block, (xs[0], 1, 0))
    cupy.cuda.get_current_stream().synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        for place, a, b in _steps(chain):
            kernel(grid, block, (xs[place], a, b))
        graph = stream.end_capture()

    def read() -> bytes:
        stream.synchronize()
        return b"".join(x.get().tobytes() for x in xs)

    return Launches(lambda: graph.launch(stream), read)


def _cupy_kernel(cupy: Any, chain: Chain) -> tuple[Any, Words]:
    kernel = cupy.RawKernel(_SOURCE.replace("WORDS", str(chain.words)), "affine")
    return kernel, [cupy.zeros(chain.words, dtype=cupy.uint32) for _ in range(chain.buffers)]


def _torch(chain: Chain) -> Launches:
    """Eager PyTorch.  A dispatch is a * x + b.

    Of PyTorch's functions only ``rsub`` does that in a single kernel, as b - (-a) * x.
    """
    torch: Any = import_module("torch")
    xs = _torch_words(torch, chain)
    rsub, steps = torch.rsub, [(place, -a, b) for place, a, b in _steps(chain)]

    def launch() -> None:
        for place, minus_a, b in steps:
            xs[place] = rsub(xs[place], b, alpha=minus_a)

    return Launches(launch, lambda: _torch_bytes(xs))


def _triton(chain: Chain) -> Launches:
    """A kernel of Triton's on tensors of PyTorch."""
    torch: Any = import_module("torch")
    xs, words, size = _torch_words(torch, chain), chain.words, chain.kernel.group_size
    launcher = _triton_kernel()[(chain.groups,)]
    launches = [(xs[place], a, b) for place, a, b in _steps(chain)]

    def launch() -> None:
        for x, a, b in launches:
            launcher(x, a, b, words, SIZE=size)

    return Launches(launch, lambda: _torch_bytes(xs))


def _triton_kernel() -> Any:
    triton, tl = import_module("triton"), import_module("triton.language")

    # Each dispatch has a new a and b, and Triton must not compile anew for these values.
    @triton.jit(do_not_specialize=["a", "b"])  # type: ignore[untyped-decorator]
    def affine(x, a, b, words, SIZE: tl.constexpr):  # type: ignore[no-untyped-def, name-defined]
        places = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
        kept = places < words
        old = tl.load(x + places, mask=kept)
        tl.store(x + places, a * old + b, mask=kept)

    return affine


def _torch_words(torch: Any, chain: Chain) -> Words:
    """Buffers of signed words, because PyTorch has few operators on unsigned words.

    The bits are the same: both kinds of words wrap round when a result is too large.
    """
    return [
        torch.zeros(chain.words, dtype=torch.int32, device="cuda") for _ in range(chain.buffers)
    ]


def _torch_bytes(xs: Words) -> bytes:
    return b"".join(x.cpu().numpy().tobytes() for x in xs)


def _jax(chain: Chain) -> Launches:
    """JAX: ``jit`` compiles once, because the scalars are arguments of the compiled function."""
    # Otherwise JAX takes most of the GPU's memory, and leaves none to the other arms.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    jax: Any = import_module("jax")
    (device, *_) = jax.devices("cuda")
    affine, steps = jax.jit(lambda x, a, b: a * x + b), _steps(chain)
    xs = [
        jax.device_put(np.zeros(chain.words, dtype=np.uint32), device) for _ in range(chain.buffers)
    ]

    def launch() -> None:
        for place, a, b in steps:
            xs[place] = affine(xs[place], a, b)

    return Launches(launch, lambda: b"".join(np.asarray(x).tobytes() for x in xs))


ENTRANTS: Mapping[str, Entrant] = {
    "cupy": Entrant(("cupy",), _cupy),
    "torch": Entrant(("torch",), _torch),
    "jax": Entrant(("jax",), _jax),
    "triton": Entrant(("triton", "torch"), _triton),
    "cuda-graph": Entrant(("cupy",), _cuda_graph),
}
