"""Every program of a few steps over two buffers and three kernels.

A step is one op, or a free and the alloc that follows it.  Each write carries
data and each dispatch scalars of its own, so that no two steps commute unseen.
Programs that differ only in which buffer is called a are listed once.
"""

from collections.abc import Iterator
from itertools import product

from gpusim.ops import Alloc, Capture, Copy, Dispatch, Flush, Free, Op, Read, Replay, Sync, Write
from gpusim.program import Program

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
"""What can be done; ``edge`` writes three bytes that are no word, ``renew`` frees and allocates.

``replay a b`` plays a graph over them that was captured first: affine on a, then a copied to b.
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
    """Whether the first buffer that is named is a; the others are the same with names swapped."""
    named = next((step for step in steps if " " in step), "x a")
    return named.split()[1] == "a"


class _Build:
    """One program as it grows; a buffer that was renewed has another name."""

    def __init__(self) -> None:
        self._ops: list[Op] = []
        self._names = {"a": "a", "b": "b"}
        self._steps = 0
        self._reads = 0

    def program(self, steps: tuple[str, ...]) -> Program:
        """Two buffers with data in them, the steps, and each buffer read."""
        for buffer in ("a", "b"):
            self._ops.append(Alloc(buffer=buffer, size_bytes=SIZE_BYTES))
            self._step("write", [buffer])
        if any(step.startswith("replay") for step in steps):
            self._ops.append(_captured())
        for step in steps:
            kind, *buffers = step.split()
            self._step(kind, buffers)
        for buffer in ("a", "b"):
            # Each read is alone on its way, so that there are not too many schedules.
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
