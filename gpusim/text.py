"""The text form of a program: one op a line, words separated by blanks.

    alloc a 64
    write a 0 00112233
    dispatch affine a 3,5 1x1x1
    copy a 0 b 4 16
    read a 0 16 -> r
    free a
    flush
    sync
    capture g dispatch affine a 3,5 1x1x1; copy a 0 b 4 16
    replay g * -
    replay g 7,9 a=c,b=a

Lists are joined by commas, an empty list or no data is ``-``, data is
hexadecimal, a float is Python's shortest form, and ``#`` starts a comment.  A
replay has the scalars of each dispatch, between semicolons and ``_`` for those
of the capture, or ``*`` for all of those; then what stands in whose place.
Reading what was written gives the same program.  Nothing here runs anything.
"""

from collections.abc import Callable

from gpusim.errors import ProgramError
from gpusim.program import (
    Alloc,
    Capture,
    Command,
    Copy,
    Dispatch,
    Flush,
    Free,
    Grid,
    Op,
    Program,
    Read,
    Replay,
    Scalars,
    Sync,
    Write,
)

_FORMS = {
    "alloc": "alloc BUFFER SIZE",
    "write": "write BUFFER OFFSET HEX",
    "dispatch": "dispatch KERNEL BUFFER,... SCALAR,... XxYxZ",
    "copy": "copy SOURCE OFFSET TARGET OFFSET SIZE",
    "read": "read BUFFER OFFSET SIZE -> RESULT",
    "free": "free BUFFER",
    "flush": "flush",
    "sync": "sync",
    "capture": "capture GRAPH dispatch ...; copy ...",
    "replay": "replay GRAPH SCALAR,...;... BUFFER=BUFFER,... (kept: _ or *, -)",
}
_KEPT, _ALL_KEPT = "_", "*"


def write_op(op: Op) -> str:
    """One op as one line, without its newline."""
    match op:
        case Alloc():
            return f"alloc {op.buffer} {op.size_bytes}"
        case Write():
            return f"write {op.buffer} {op.offset} {op.data.hex() or '-'}"
        case Dispatch():
            grid = "x".join(map(str, op.grid))
            return f"dispatch {op.kernel} {_join(op.buffers)} {_scalars(op.scalars)} {grid}"
        case Copy():
            target = f"{op.target} {op.target_offset}"
            return f"copy {op.source} {op.source_offset} {target} {op.size_bytes}"
        case Read():
            return f"read {op.buffer} {op.offset} {op.size_bytes} -> {op.result}"
        case Free():
            return f"free {op.buffer}"
        case Flush():
            return "flush"
        case Sync():
            return "sync"
        case Capture():
            return f"capture {op.graph} {'; '.join(map(write_op, op.commands)) or '-'}"
        case Replay():
            bindings = _join(tuple(f"{old}={new}" for old, new in op.bindings))
            return f"replay {op.graph} {_entries(op.scalars)} {bindings}"


def _entries(entries: tuple[Scalars | None, ...] | None) -> str:
    """The scalars of a replay, an entry for each dispatch; `;` alone is no entry."""
    if not entries:
        return _ALL_KEPT if entries is None else ";"
    return ";".join(_KEPT if scalars is None else _scalars(scalars) for scalars in entries)


def _scalars(scalars: Scalars) -> str:
    return _join(tuple(map(repr, scalars)))


def write_program(program: Program) -> str:
    """Every op on a line of its own, with a newline after the last."""
    return "".join(write_op(op) + "\n" for op in program)


def parse_program(text: str) -> Program:
    """The program that ``text`` holds; ProgramError names the first bad line."""
    lines: list[int] = []
    ops: list[Op] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = _words_of(line)
        if words:
            lines.append(number)
            ops.append(_parse_line(number, words))
    try:
        return Program(tuple(ops))
    except ProgramError as error:
        raise ProgramError(
            f"cannot read line {lines[_first_misfit(ops)]} because it does not fit the lines "
            f"before it: {error}"
        ) from None


def parse_op(line: str) -> Op:
    """The op of one line, whatever came before it; ProgramError where it is none."""
    words = _words_of(line)
    if not words:
        raise ProgramError("cannot read an op because the line is empty (probably a stray newline)")
    return _parse_line(1, words)


def _words_of(line: str) -> list[str]:
    return line.partition("#")[0].split()


def _first_misfit(ops: list[Op]) -> int:
    """The position of the op that makes the shortest prefix which is no program."""
    for position in range(len(ops)):
        try:
            Program(tuple(ops[: position + 1]))
        except ProgramError:
            return position
    return len(ops)


def _parse_line(number: int, words: list[str]) -> Op:
    parse = _PARSERS.get(words[0])
    if parse is None:
        raise ProgramError(
            f"cannot read line {number} because {words[0]!r} is no op "
            f"(probably one of {', '.join(_FORMS)})"
        )
    try:
        return parse(words[1:])
    except ValueError as error:
        raise ProgramError(
            f"cannot read line {number} because {error} (expected: {_FORMS[words[0]]})"
        ) from None


def _words(words: list[str], count: int) -> list[str]:
    if len(words) != count:
        raise ValueError(f"it has {len(words)} operands instead of {count}")
    return words


def _alloc(words: list[str]) -> Op:
    buffer, size = _words(words, 2)
    return Alloc(buffer=buffer, size_bytes=_integer(size))


def _write(words: list[str]) -> Op:
    buffer, offset, data = _words(words, 3)
    return Write(buffer=buffer, offset=_integer(offset), data=_data(data))


def _dispatch(words: list[str]) -> Op:
    kernel, buffers, scalars, grid = _words(words, 4)
    return Dispatch(
        kernel=kernel,
        buffers=_split(buffers),
        scalars=tuple(map(_number, _split(scalars))),
        grid=_grid(grid),
    )


def _copy(words: list[str]) -> Op:
    source, source_offset, target, target_offset, size = _words(words, 5)
    return Copy(
        source=source,
        source_offset=_integer(source_offset),
        target=target,
        target_offset=_integer(target_offset),
        size_bytes=_integer(size),
    )


def _read(words: list[str]) -> Op:
    buffer, offset, size, arrow, result = _words(words, 5)
    if arrow != "->":
        raise ValueError(f"{arrow!r} stands where '->' should")
    return Read(buffer=buffer, offset=_integer(offset), size_bytes=_integer(size), result=result)


def _free(words: list[str]) -> Op:
    (buffer,) = _words(words, 1)
    return Free(buffer=buffer)


def _flush(words: list[str]) -> Op:
    _words(words, 0)
    return Flush()


def _sync(words: list[str]) -> Op:
    _words(words, 0)
    return Sync()


def _capture(words: list[str]) -> Op:
    if len(words) < 2:
        raise ValueError("it has no commands, not even a '-'")
    graph, *rest = words
    if rest == ["-"]:
        return Capture(graph=graph, commands=())
    texts = " ".join(rest).split(";")
    return Capture(graph=graph, commands=tuple(_command(text.split()) for text in texts))


def _command(words: list[str]) -> Command:
    op = _PARSERS[words[0]](words[1:]) if words and words[0] in ("dispatch", "copy") else None
    if not isinstance(op, Dispatch | Copy):
        raise ValueError(f"{' '.join(words)!r} is no dispatch and no copy")
    return op


def _replay(words: list[str]) -> Op:
    graph, entries, bindings = _words(words, 3)
    return Replay(
        graph=graph,
        scalars=None if entries == _ALL_KEPT else tuple(map(_entry, _pieces(entries))),
        bindings=tuple(map(_binding, _split(bindings))),
    )


def _pieces(word: str) -> list[str]:
    return [] if word == ";" else word.split(";")


def _entry(word: str) -> Scalars | None:
    return None if word == _KEPT else tuple(map(_number, _split(word)))


def _binding(word: str) -> tuple[str, str]:
    old, equals, new = word.partition("=")
    if not equals:
        raise ValueError(f"{word!r} does not say what stands in its place")
    return old, new


_PARSERS: dict[str, Callable[[list[str]], Op]] = {
    "alloc": _alloc,
    "write": _write,
    "dispatch": _dispatch,
    "copy": _copy,
    "read": _read,
    "free": _free,
    "flush": _flush,
    "sync": _sync,
    "capture": _capture,
    "replay": _replay,
}


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
