"""A Program: a well-formed sequence of ops, and what can be said of ops by the names in them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, overload

from gpusim.errors import ProgramError
from gpusim.ops import VERBS as VERBS
from gpusim.ops import Alloc as Alloc
from gpusim.ops import Capture as Capture
from gpusim.ops import Command as Command
from gpusim.ops import Copy as Copy
from gpusim.ops import Dispatch as Dispatch
from gpusim.ops import Flush as Flush
from gpusim.ops import Free as Free
from gpusim.ops import Grid as Grid
from gpusim.ops import Op as Op
from gpusim.ops import Read as Read
from gpusim.ops import Replay as Replay
from gpusim.ops import Scalars as Scalars
from gpusim.ops import Sync as Sync
from gpusim.ops import Write as Write

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_Named = TypeVar("_Named", bound="Op")
OPS: tuple[type[Op], ...] = tuple(VERBS)


def buffers_of(op: Op) -> tuple[str, ...]:
    """The buffers an op names, in the order of its text form."""
    match op:
        case Dispatch():
            return op.buffers
        case Copy():
            return (op.source, op.target)
        case Flush() | Sync():
            return ()
        case Capture():
            return tuple(name for command in op.commands for name in buffers_of(command))
        case Replay():
            return tuple(name for pair in op.bindings for name in pair)
        case _:
            return (op.buffer,)


def renamed(op: _Named, names: Mapping[str, str]) -> _Named:
    """The op over buffers of other names; those not in ``names`` stay."""
    if not names:
        return op
    match op:
        case Dispatch():
            return replace(op, buffers=tuple(names.get(name, name) for name in op.buffers))
        case Copy():
            return replace(
                op,
                source=names.get(op.source, op.source),
                target=names.get(op.target, op.target),
            )
        case Flush() | Sync():
            return op
        case Capture():
            return replace(op, commands=tuple(renamed(command, names) for command in op.commands))
        case Replay():
            pairs = ((names.get(old, old), names.get(new, new)) for old, new in op.bindings)
            return replace(op, bindings=tuple(pairs))
        case _:
            return replace(op, buffer=names.get(op.buffer, op.buffer))


def replayed(capture: Capture, replay: Replay) -> tuple[Command, ...]:
    """The commands that ``replay`` runs, as ops of their own.

    Where it has another number of scalar entries than the capture has
    dispatches, which is refused, those that are missing are as captured.
    """
    entries = iter(replay.scalars or ())
    commands = (_with_scalars(command, entries) for command in capture.commands)
    names = dict(replay.bindings)
    return tuple(renamed(command, names) for command in commands)


def flattened(ops: Iterable[Op]) -> Iterator[Op]:
    """The ops with commands in the place of each replay, and without what only captures."""
    captures: dict[str, Capture] = {}
    for op in ops:
        if isinstance(op, Capture):
            captures[op.graph] = op
        elif isinstance(op, Replay):
            yield from replayed(captures[op.graph], op)
        else:
            yield op


def _with_scalars(command: Command, entries: Iterator[Scalars | None]) -> Command:
    scalars = next(entries, None) if isinstance(command, Dispatch) else None
    if scalars is None or isinstance(command, Copy):
        return command
    return replace(command, scalars=scalars)


@dataclass(frozen=True, slots=True)
class Program(Sequence[Op]):
    """A sequence of ops over named buffers.

    Well formed means: every name is one lower-case word; the names of buffers,
    of results and of graphs are each introduced once; and a buffer is named only
    after its ``alloc``, a graph after its ``capture``.  Using a buffer after its
    ``free`` is well formed, and refused when run.

    Raises:
        ProgramError: with the position of the first op that is not well formed.
    """

    ops: tuple[Op, ...]

    def __post_init__(self) -> None:
        allocated: set[str] = set()
        results: set[str] = set()
        graphs: set[str] = set()
        for position, op in enumerate(self.ops):
            if isinstance(op, Alloc):
                _introduce(op.buffer, allocated, position, "buffer")
            if isinstance(op, Read):
                _introduce(op.result, results, position, "result")
            if isinstance(op, Capture):
                _introduce(op.graph, graphs, position, "graph")
            if isinstance(op, Replay) and op.graph not in graphs:
                raise ProgramError(
                    f"cannot replay {op.graph} in op {position} because no op before it captures "
                    "it (probably its capture was deleted)"
                )
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
