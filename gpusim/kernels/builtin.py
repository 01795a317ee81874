"""The kernels that come with gpusim, for programs to name, and registries of kernels.

The integer kernels are exact, and two different ones do not commute in general.  Each computes new
words from the old, so the answer nearly always changes if a dispatch is reordered, lost, doubled or
given wrong scalars.  A float kernel states the relative error of one application.  A registry is a
value: adding a kernel makes a new registry, so no test changes the registry of the next.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from gpusim.errors import ProgramError
from gpusim.kernels.kernel import Array, Binding, Kernel, Scalar

_GROUP = 64
_COUNTED = 5
_PRIME = np.uint32(0x01000193)
_WORD = np.dtype(np.uint32)


def _affine(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    a, b = scalars
    head = x[: groups * _GROUP]
    head *= a
    head += b


AFFINE = Kernel(
    name="affine",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(Scalar(name="a"), Scalar(name="b")),
    body="    if (i < arrayLength(&x)) { x[i] = args.a * x[i] + args.b; }",
    meaning=_affine,
)
"""x <- a*x + b modulo 2^32, one word for each lane."""


def _fold(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (a,) = scalars
    n = min(len(x), len(y), groups * _GROUP)
    y[:n] = y[:n] * a + x[:n]


FOLD = Kernel(
    name="fold",
    buffers=(Binding(name="x"), Binding(name="y", access="read_write")),
    scalars=(Scalar(name="a"),),
    body=("    if (i < min(arrayLength(&x), arrayLength(&y))) { y[i] = y[i] * args.a + x[i]; }"),
    meaning=_fold,
)
"""y <- a*y + x modulo 2^32."""


def _mix(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y, z = arrays
    a, b = scalars
    n = min(len(x), len(y), len(z), groups * _GROUP)
    t = z[:n] ^ (x[:n] * a)
    z[:n] = ((t << np.uint32(7)) | (t >> np.uint32(25))) + y[:n] * b


MIX = Kernel(
    name="mix",
    buffers=(Binding(name="x"), Binding(name="y"), Binding(name="z", access="read_write")),
    scalars=(Scalar(name="a"), Scalar(name="b")),
    body=(
        "    if (i < min(arrayLength(&x), min(arrayLength(&y), arrayLength(&z)))) {\n"
        "        let t = z[i] ^ (x[i] * args.a);\n"
        "        z[i] = ((t << 7u) | (t >> 25u)) + y[i] * args.b;\n"
        "    }"
    ),
    meaning=_mix,
)
"""z <- rotate(z xor a*x, 7) + b*y modulo 2^32."""


def _scramble(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    head = x[: groups * _GROUP]
    rotated = (head << np.uint32(5)) | (head >> np.uint32(27))
    head[:] = rotated * np.uint32(0x9E3779B1) + np.arange(len(head), dtype=np.uint32)


SCRAMBLE = Kernel(
    name="scramble",
    buffers=(Binding(name="x", access="read_write"),),
    body=(
        "    if (i < arrayLength(&x)) {\n"
        "        x[i] = ((x[i] << 5u) | (x[i] >> 27u)) * 0x9E3779B1u + i;\n"
        "    }"
    ),
    meaning=_scramble,
)
"""x <- rotate(x, 5) * 0x9E3779B1 + i: a kernel without scalars, which binds no uniform buffer."""


def _many(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    head = x[: groups * _GROUP]
    for scalar in scalars:
        head *= _PRIME
        head ^= scalar.view(_WORD)


MANY = Kernel(
    name="many",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(
        *(Scalar(name=f"u{n}", dtype="u32") for n in range(4)),
        *(Scalar(name=f"i{n}", dtype="i32") for n in range(4)),
        *(Scalar(name=f"f{n}", dtype="f32") for n in range(4)),
    ),
    body="\n".join(
        [
            "    if (i < arrayLength(&x)) {",
            "        var t = x[i];",
            *(f"        t = (t * 0x01000193u) ^ args.u{n};" for n in range(4)),
            *(f"        t = (t * 0x01000193u) ^ bitcast<u32>(args.i{n});" for n in range(4)),
            *(f"        t = (t * 0x01000193u) ^ bitcast<u32>(args.f{n});" for n in range(4)),
            "        x[i] = t;",
            "    }",
        ]
    ),
    meaning=_many,
)
"""x <- a hash of x and of the bits of twelve scalars of three types."""


def _widen(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (shift,) = scalars
    n = min(len(x), len(y), groups * _GROUP)
    y[:n] = y[:n] * np.uint32(3) + (x[:n] >> (shift & np.int32(31))).view(np.uint32)


WIDEN = Kernel(
    name="widen",
    buffers=(Binding(name="x", dtype="i32"), Binding(name="y", access="read_write")),
    scalars=(Scalar(name="shift", dtype="i32"),),
    body=(
        "    if (i < min(arrayLength(&x), arrayLength(&y))) {\n"
        "        y[i] = y[i] * 3u + bitcast<u32>(x[i] >> u32(args.shift & 31));\n"
        "    }"
    ),
    meaning=_widen,
)
"""y <- 3*y + (x >> shift), x signed: two dtypes in one dispatch."""


def _exchange(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (a,) = scalars
    n = min(len(x), len(y), groups * _GROUP)
    x[:n], y[:n] = y[:n].copy(), y[:n] * a + x[:n]


EXCHANGE = Kernel(
    name="exchange",
    buffers=(Binding(name="x", access="read_write"), Binding(name="y", access="read_write")),
    scalars=(Scalar(name="a"),),
    body=(
        "    if (i < min(arrayLength(&x), arrayLength(&y))) {\n"
        "        let t = x[i];\n"
        "        x[i] = y[i];\n"
        "        y[i] = y[i] * args.a + t;\n"
        "    }"
    ),
    meaning=_exchange,
)
"""x, y <- y, a*y + x modulo 2^32: the bindings of fold, but both are written."""


def _tally(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    """Adds once for each word, not once for each group: the grid of a dispatch may be huge."""
    (x,) = arrays
    (a,) = scalars
    first = np.arange(len(x), dtype=np.uint64)
    rounds, rest = divmod(groups, len(x))
    turns = np.full(len(x), rounds, dtype=np.uint64)
    turns[:rest] += np.uint64(1)
    numbers = turns * first + np.uint64(len(x)) * (turns * (turns - (turns > 0)) // np.uint64(2))
    x += (numbers * np.uint64(a) + turns).astype(np.uint32)


TALLY = Kernel(
    name="tally",
    buffers=(Binding(name="x", access="read_write", atomic=True),),
    scalars=(Scalar(name="a"),),
    body="    atomicAdd(&x[group % arrayLength(&x)], group * args.a + 1u);",
    meaning=_tally,
    group_size=1,
    guarded=True,
)
"""x[group mod n] += a*group + 1, once a group: a doubled or missing group shows."""


def _count(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    a, b = scalars
    head = x[: groups * _GROUP]
    turned = head * a + b + np.arange(len(head), dtype=np.uint32)
    head[:] = turned % np.uint32(_COUNTED) + np.uint32(1)


COUNT = Kernel(
    name="count",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=(Scalar(name="a"), Scalar(name="b")),
    body=(
        "    if (i < arrayLength(&x)) {\n"
        f"        x[i] = (args.a * x[i] + args.b + i) % {_COUNTED}u + 1u;\n"
        "    }"
    ),
    meaning=_count,
    below=_COUNTED + 1,
)
"""x <- (a*x + b + i) mod 5 + 1, for the grids of indirect dispatches."""


def _blend(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (a,) = scalars
    n = min(len(x), len(y), groups * 64)
    y[:n] = np.abs(x[:n]) * np.abs(a) + np.abs(y[:n]) * np.float32(0.5)


BLEND = Kernel(
    name="blend",
    buffers=(
        Binding(name="x", dtype="f32"),
        Binding(name="y", dtype="f32", access="read_write"),
    ),
    scalars=(Scalar(name="a", dtype="f32"),),
    body=(
        "    if (i < min(arrayLength(&x), arrayLength(&y))) {\n"
        "        y[i] = abs(x[i]) * abs(args.a) + abs(y[i]) * 0.5;\n"
        "    }"
    ),
    meaning=_blend,
    tolerance=2.0**-21,
)
"""y <- |a|*|x| + |y|/2: no term is negative, so no cancellation makes a relative error larger."""


class Kernels(Mapping[str, Kernel]):
    """Kernels by name, in the order in which they were added."""

    def __init__(self, *kernels: Kernel) -> None:
        for kernel in kernels:
            if not isinstance(kernel, Kernel):
                raise ProgramError(
                    f"cannot register a {type(kernel).__name__} because it is no Kernel "
                    "(probably a star is missing: Kernels(*kernels))"
                )
        self._by_name = {kernel.name: kernel for kernel in kernels}
        if len(self._by_name) != len(kernels):
            names = [kernel.name for kernel in kernels]
            twice = next(name for name in names if names.count(name) > 1)
            raise ProgramError(
                f"cannot register kernels because two share a name, {twice!r} "
                "(probably one shadows a built-in kernel)"
            )

    def __getitem__(self, name: str) -> Kernel:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def adding(self, *kernels: Kernel) -> "Kernels":
        """These kernels and ``kernels``; ProgramError if a name is taken."""
        return Kernels(*self._by_name.values(), *kernels)

    def only(self, names: Collection[str]) -> "Kernels":
        """The kernels that have one of ``names``."""
        return Kernels(*(kernel for kernel in self._by_name.values() if kernel.name in names))

    def promised(self, names: Collection[str]) -> "Kernels":
        """The kernels of these names; without names, all that have no ``operation``."""
        every = self._by_name.values()
        return self.only(names or [each.name for each in every if each.operation is None])


BUILTIN = Kernels(AFFINE, FOLD, MIX, SCRAMBLE, MANY, WIDEN, EXCHANGE, TALLY, COUNT, BLEND)
"""The kernels that come with gpusim, for generated programs."""
