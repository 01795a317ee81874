"""The vocabulary: ops, and a Program of them.

Data only.  What an op means is ``reference``'s business, how it is issued
``gpusim.runtime``'s, and how it is written down ``gpusim.text``'s.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from gpusim.errors import ProgramError

Grid = tuple[int, int, int]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alloc:
    """A new buffer of ``size_bytes`` bytes, all zero."""

    buffer: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """Host to GPU: exactly these bytes, at any offset, taken at the call."""

    buffer: str
    offset: int
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispatch:
    """Run a kernel over buffers; ``grid`` counts workgroups, and a zero is a no-op."""

    kernel: str
    buffers: tuple[str, ...]
    scalars: tuple[int | float, ...]
    grid: Grid


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """GPU to GPU, any offsets and length; within one buffer it is memmove."""

    source: str
    source_offset: int
    target: str
    target_offset: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """GPU to host: the value at this point, delivered by the next sync at the latest."""

    buffer: str
    offset: int
    size_bytes: int
    result: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Free:
    """The buffer is gone; its name never reaches another buffer's data."""

    buffer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Flush:
    """Submit what is recorded; changes no result, ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sync:
    """Everything before it has happened, on the GPU and in host memory."""


Op = Alloc | Write | Dispatch | Copy | Read | Free | Flush | Sync
OPS: tuple[type[Op], ...] = (Alloc, Write, Dispatch, Copy, Read, Free, Flush, Sync)


def buffers_of(op: Op) -> tuple[str, ...]:
    """The buffers an op names, in the order of its text form."""
    match op:
        case Dispatch():
            return op.buffers
        case Copy():
            return (op.source, op.target)
        case Flush() | Sync():
            return ()
        case _:
            return (op.buffer,)


@dataclass(frozen=True, slots=True)
class Program(Sequence[Op]):
    """A sequence of ops over named buffers.

    Well formed means: every name is one lower-case word, a buffer's name and a
    result's name are introduced once, and a buffer is named only after its
    ``alloc``.  Using it after its ``free`` is well formed, and refused when run.

    Raises:
        ProgramError: with the position of the first op that is not well formed.
    """

    ops: tuple[Op, ...]

    def __post_init__(self) -> None:
        allocated: set[str] = set()
        results: set[str] = set()
        for position, op in enumerate(self.ops):
            if isinstance(op, Alloc):
                _introduce(op.buffer, allocated, position, "buffer")
            if isinstance(op, Read):
                _introduce(op.result, results, position, "result")
            for name in buffers_of(op):
                if name not in allocated:
                    raise ProgramError(
                        f"cannot use {name} in op {position} because no op before it allocates "
                        "it (probably its alloc was deleted)"
                    )

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    @overload
    def __getitem__(self, at: int) -> Op: ...
    @overload
    def __getitem__(self, at: slice) -> "Program": ...
    def __getitem__(self, at: int | slice) -> "Op | Program":
        return Program(self.ops[at]) if isinstance(at, slice) else self.ops[at]

    def __str__(self) -> str:
        from gpusim.text import write_program

        return write_program(self)

    @classmethod
    def parse(cls, text: str) -> "Program":
        """Read the text form, one op a line; ProgramError names the malformed line."""
        from gpusim.text import parse_program

        return parse_program(text)


def _introduce(name: str, known: set[str], position: int, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise ProgramError(
            f"cannot name a {what} {name!r} in op {position} because a name is a lower-case "
            "letter and then letters, digits and underscores (probably a stray character)"
        )
    if name in known:
        raise ProgramError(
            f"cannot introduce {what} {name} in op {position} because an op before it did "
            "(probably a duplicated line)"
        )
    known.add(name)
