"""The text form of ops: one a line, words separated by blanks.

    alloc a 64
    write a 0 00112233
    dispatch affine a 3,5 1x1x1
    dispatch fold a,b[256:512] 3 1x1x1
    dispatch_indirect affine a 3,5 c 16
    copy a 0 b 4 16
    read a 0 16 -> r
    free a
    flush
    sync
    capture g dispatch affine a 3,5 1x1x1; copy a 0 b 4 16
    replay g * -
    replay g 7,9 a=c,b=a

Lists are joined by commas.  ``-`` is an empty list or no data; data is hexadecimal; a float has
Python's shortest form; ``#`` starts a comment.  A dispatch binds a buffer whole, or from one byte
up to another.  A replay first gives the scalars of each dispatch, separated by semicolons: ``_``
keeps the captured scalars of one dispatch, and a single ``*`` those of all.  Then come pairs
``OLD=NEW`` of buffers.  Reading what was written gives the same op.  The kind of an operand says
how it is written, so no op has code of its own here.  Nothing here runs anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from gpusim.errors import ProgramError
from gpusim.ops import (
    VERBS,
    Bound,
    Command,
    Grid,
    Op,
    Operand,
    Part,
    Scalars,
    Verb,
    operands_of,
)

_KEPT, _ALL_KEPT = "_", "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """How an operand of one kind is written, in ``words`` words; -1 takes all that are left."""

    write: Callable[[Any], str]
    read: Callable[..., Any]
    shown: str = ""
    """Its name when the form of an op is shown; by default the name of the field."""
    words: int = 1


def write_op(op: Op) -> str:
    """One op as one line, without its newline."""
    return " ".join([op.verb, *(_FORMS[what].write(value) for what, value in operands_of(op))])


def parse_op(line: str) -> Op:
    """The op of one line; earlier lines do not matter.  ProgramError if the line is no op."""
    op = parse_line(1, line)
    if op is None:
        raise ProgramError("cannot read an op because the line is empty (probably a stray newline)")
    return op


def parse_line(number: int, line: str) -> Op | None:
    """The op on line ``number``, None if the line is empty; ProgramError names the line."""
    words = line.partition("#")[0].split()
    return _parse(number, words) if words else None


def _parse(number: int, words: list[str]) -> Op:
    verb = _VERBS.get(words[0])
    if verb is None:
        raise ProgramError(
            f"cannot read line {number} because {words[0]!r} is no op "
            f"(probably one of {', '.join(_VERBS)})"
        )
    try:
        return _read(verb, words[1:])
    except ValueError as error:
        raise ProgramError(
            f"cannot read line {number} because {error} (expected: {_shown(verb)})"
        ) from None


def _read(verb: Verb, words: list[str]) -> Op:
    forms = [(name, _FORMS[what]) for name, what in verb.operands.items()]
    wanted = sum(form.words for _, form in forms)
    if all(form.words > 0 for _, form in forms) and len(words) != wanted:
        raise ValueError(f"it has {len(words)} operands instead of {wanted}")
    values = {}
    for name, form in forms:
        count = form.words if form.words > 0 else len(words)
        if len(words) < count:
            raise ValueError(f"it has no {name}")
        values[name] = form.read(*words[:count])
        words = words[count:]
    return verb.kind(**values)


def _shown(verb: Verb) -> str:
    """The form of an op: ``write BUFFER OFFSET HEX``."""
    operands = (_FORMS[what].shown or name.upper() for name, what in verb.operands.items())
    return " ".join([verb.name, *operands])


def _scalars(scalars: Scalars) -> str:
    return _join(tuple(map(repr, scalars)))


def _entries(entries: tuple[Scalars | None, ...] | None) -> str:
    """The scalars of a replay, an entry for each dispatch; ``;`` alone means no entries."""
    if not entries:
        return _ALL_KEPT if entries is None else ";"
    return ";".join(_KEPT if scalars is None else _scalars(scalars) for scalars in entries)


def _read_entries(word: str) -> tuple[Scalars | None, ...] | None:
    return None if word == _ALL_KEPT else tuple(map(_entry, _pieces(word)))


def _commands(commands: tuple[Op, ...]) -> str:
    return "; ".join(map(write_op, commands)) or "-"


def _pieces(word: str) -> list[str]:
    return [] if word == ";" else word.split(";")


def _entry(word: str) -> Scalars | None:
    return None if word == _KEPT else tuple(map(_number, _split(word)))


def _binding(word: str) -> tuple[str, str]:
    old, equals, new = word.partition("=")
    if not equals:
        raise ValueError(f"{word!r} does not say which buffer replaces it")
    return old, new


def write_bound(bound: Bound) -> str:
    """A buffer, or a part of one, as a dispatch names it."""
    if isinstance(bound, str):
        return bound
    return f"{bound.buffer}[{bound.offset}:{bound.offset + bound.size_bytes}]"


def _bound(word: str) -> Bound:
    name, bracket, rest = word.partition("[")
    if not bracket:
        return word
    start, colon, end = rest.removesuffix("]").partition(":")
    if not colon or not rest.endswith("]"):
        raise ValueError(f"{word!r} does not say which part of a buffer it is")
    offset = _integer(start)
    return Part(name, offset, _integer(end) - offset)


def _read_commands(*words: str) -> tuple[Command, ...]:
    if not words:
        raise ValueError("it has no commands, not even a '-'")
    if words == ("-",):
        return ()
    return tuple(_command(text.split()) for text in " ".join(words).split(";"))


def _command(words: list[str]) -> Command:
    op = _read(_VERBS[words[0]], words[1:]) if words and words[0] in _COMMANDS else None
    if not isinstance(op, Command):
        raise ValueError(f"{' '.join(words)!r} is no dispatch and no copy")
    return op


def _result(arrow: str, name: str) -> str:
    if arrow != "->":
        raise ValueError(f"{arrow!r} stands where '->' should")
    return name


def _join(words: tuple[str, ...]) -> str:
    return ",".join(words) or "-"


def _split(word: str) -> tuple[str, ...]:
    return () if word == "-" else tuple(word.split(","))


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ValueError(f"{word!r} is no whole number") from None


def _number(word: str) -> int | float:
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{word!r} is no number") from None


def _data(word: str) -> bytes:
    try:
        return b"" if word == "-" else bytes.fromhex(word)
    except ValueError:
        raise ValueError(f"{word!r} is not hexadecimal") from None


def _grid(word: str) -> Grid:
    parts = word.split("x")
    if len(parts) != 3:
        raise ValueError(f"grid {word!r} has {len(parts)} dimensions instead of 3")
    x, y, z = map(_integer, parts)
    return x, y, z


_COMMANDS = tuple([kind.verb for kind in get_args(Command)])
_VERBS = {verb.name: verb for verb in VERBS.values()}
_FORMS: dict[Operand, _Form] = {
    Operand.BUFFER: _Form(write=str, read=str),
    Operand.BUFFERS: _Form(
        write=lambda bound: _join(tuple(map(write_bound, bound))),
        read=lambda word: tuple(map(_bound, _split(word))),
        shown="BUFFER,... (or BUFFER[START:END])",
    ),
    Operand.RESULT: _Form(write="-> {}".format, read=_result, shown="-> RESULT", words=2),
    Operand.GRAPH: _Form(write=str, read=str),
    Operand.KERNEL: _Form(write=str, read=str),
    Operand.OFFSET: _Form(write=str, read=_integer, shown="OFFSET"),
    Operand.SIZE: _Form(write=str, read=_integer, shown="SIZE"),
    Operand.DATA: _Form(write=lambda data: data.hex() or "-", read=_data, shown="HEX"),
    Operand.SCALARS: _Form(
        write=_scalars, read=lambda word: tuple(map(_number, _split(word))), shown="SCALAR,..."
    ),
    Operand.GRID: _Form(write=lambda grid: "x".join(map(str, grid)), read=_grid, shown="XxYxZ"),
    Operand.COMMANDS: _Form(
        write=_commands, read=_read_commands, shown="dispatch ...; copy ... (none: -)", words=-1
    ),
    Operand.REPLAY_SCALARS: _Form(
        write=_entries, read=_read_entries, shown="SCALAR,...;... (kept: _ or *)"
    ),
    Operand.BINDINGS: _Form(
        write=lambda pairs: _join(tuple(f"{old}={new}" for old, new in pairs)),
        read=lambda word: tuple(map(_binding, _split(word))),
        shown="BUFFER=BUFFER,...",
    ),
}
"""How each kind of operand is written."""
