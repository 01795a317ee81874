"""Programs: well-formed sequences of ops; and the names that ops use.  Nothing here runs an op."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, overload

from gpusim.errors import ProgramError
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyOp,
    Bound,
    Capture,
    Command,
    Copy,
    Free,
    Op,
    Operand,
    Replay,
    Scalars,
    Verb,
    each_command,
    with_operands,
)
from gpusim.text import parse_line, write_op

_NAME = re.compile(r"[a-z][a-z0-9_]*")


_NAMED: Mapping[Operand, Callable[[Any], Iterable[str]]] = {
    Operand.BUFFER: lambda name: (name,),
    Operand.BUFFERS: lambda bound: [one if type(one) is str else one.buffer for one in bound],
    Operand.COMMANDS: lambda commands: (name for op in commands for name in buffers_of(op)),
    Operand.BINDINGS: lambda pairs: (name for pair in pairs for name in pair),
}
"""Finds the buffers that an operand names, by the operand's kind."""


def _namer(verb: Verb) -> Callable[[Any], tuple[str, ...]]:
    """The function that finds the buffers in ops of one kind; made only once, for speed."""
    named = [(name, what) for name, what in verb.operands.items() if what in _NAMED]
    if not named:
        return lambda op: ()
    fields = [name for name, _ in named]
    if all(what is Operand.BUFFER for _, what in named):
        pick: Any = attrgetter(*fields)
        return pick if len(fields) > 1 else lambda op: (pick(op),)
    return lambda op: tuple(
        [each for name, what in named for each in _NAMED[what](getattr(op, name))]
    )


_NAMERS = {kind: _namer(verb) for kind, verb in VERBS.items()}


def buffers_of(op: Op) -> tuple[str, ...]:
    """The buffers an op names, in the order of its text form."""
    return _NAMERS[type(op)](op)


def renamed(op: AnyOp, names: Mapping[str, str]) -> AnyOp:
    """The op with its buffers renamed; those not in ``names`` keep their names."""
    if not names:
        return op

    def new(name: str) -> str:
        return names.get(name, name)

    return with_operands(
        op,
        {
            Operand.BUFFER: new,
            Operand.BUFFERS: lambda bound: tuple([_bound_renamed(each, new) for each in bound]),
            Operand.COMMANDS: each_command(lambda command: renamed(command, names)),
            Operand.BINDINGS: lambda pairs: tuple((new(old), new(other)) for old, other in pairs),
        },
    )


def _bound_renamed(bound: Bound, new: Callable[[str], str]) -> Bound:
    return new(bound) if isinstance(bound, str) else bound._replace(buffer=new(bound.buffer))


def captures_of(ops: Iterable[Op]) -> dict[str, Capture]:
    """The captures among ``ops``, by their graph."""
    return {op.graph: op for op in ops if isinstance(op, Capture)}


def replayed(capture: Capture, replay: Replay) -> tuple[Command, ...]:
    """The commands that ``replay`` runs, as ops of their own.

    A dispatch whose entry in ``replay.scalars`` is None or missing keeps its captured scalars.
    When run, a replay with a wrong number of entries is refused.
    """
    entries = iter(replay.scalars or ())
    commands = (_with_scalars(command, entries) for command in capture.commands)
    names = dict(replay.bindings)
    return tuple(renamed(command, names) for command in commands)


def flattened(ops: Iterable[Op]) -> Iterator[Op]:
    """The ops without captures, with the commands of each replay in its place."""
    captures: dict[str, Capture] = {}
    for op in ops:
        if isinstance(op, Capture):
            captures[op.graph] = op
        elif isinstance(op, Replay):
            yield from replayed(captures[op.graph], op)
        else:
            yield op


def inlined(ops: Iterable[Op]) -> Iterator[Op]:
    """The ops, with the commands of each capture in its place."""
    for op in ops:
        yield from op.commands if isinstance(op, Capture) else (op,)


def never_freed(ops: Sequence[Op]) -> list[Alloc]:
    """The allocs whose buffers no op frees."""
    freed = {op.buffer for op in ops if isinstance(op, Free)}
    return [op for op in ops if isinstance(op, Alloc) and op.buffer not in freed]


def _with_scalars(command: Command, entries: Iterator[Scalars | None]) -> Command:
    if isinstance(command, Copy):
        return command
    scalars = next(entries, None)
    return command if scalars is None else replace(command, scalars=scalars)


@dataclass(frozen=True, slots=True, repr=False)
class Program(Sequence[Op]):
    """A sequence of ops over named buffers.

    Well formed means: every name is one lower-case word; each name of a buffer, a
    result or a graph is introduced once; and a buffer is used only after its
    ``alloc``, a graph after its ``capture``.  Using a buffer after its ``free`` is
    well formed; it is refused when run.

    Raises:
        ProgramError: with the position of the first op that is not well formed.
    """

    ops: tuple[Op, ...]

    def __post_init__(self) -> None:
        made: dict[str, set[str]] = {"buffer": set(), "result": set(), "graph": set()}
        for position, op in enumerate(self.ops):
            kind = VERBS[type(op)].makes
            if kind:
                _introduce(getattr(op, kind), made[kind], position, kind)
            if isinstance(op, Replay) and op.graph not in made["graph"]:
                raise ProgramError(
                    f"cannot replay {op.graph} in op {position} because no op before it captures "
                    "it (probably its capture was deleted)"
                )
            for name in buffers_of(op):
                if name not in made["buffer"]:
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
        """The text form: every op on a line of its own, with a newline after the last."""
        return "".join(write_op(op) + "\n" for op in self.ops)

    def __repr__(self) -> str:
        """The Python call that makes this program, to be pasted into a test."""
        return f'Program.parse("""\n{self}""")'

    @classmethod
    def parse(cls, text: str) -> "Program":
        """Read the text form, one op a line; ProgramError names the first bad line."""
        lines: list[int] = []
        ops: list[Op] = []
        for number, line in enumerate(text.splitlines(), start=1):
            op = parse_line(number, line)
            if op is not None:
                lines.append(number)
                ops.append(op)
        try:
            return cls(tuple(ops))
        except ProgramError as error:
            raise ProgramError(
                f"cannot read line {lines[_first_misfit(ops)]} because it does not fit the lines "
                f"before it: {error}"
            ) from None


def _first_misfit(ops: list[Op]) -> int:
    """The position of the first op that does not fit the ops before it."""
    for position in range(len(ops)):
        try:
            Program(tuple(ops[: position + 1]))
        except ProgramError:
            return position
    return len(ops)


def _introduce(name: str, known: set[str], position: int, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise ProgramError(
            f"cannot name a {what} {name!r} in op {position} because a name has lower-case "
            "letters, digits and underscores, and a letter first (probably a stray character)"
        )
    if name in known:
        raise ProgramError(
            f"cannot introduce {what} {name} in op {position} because an op before it did "
            "(probably a duplicated line)"
        )
    known.add(name)
