"""Counts the executed lines of the runtime's source while it runs a widened program.

Each op of a widened program is issued several times, each time over buffers of its own.  A loop
inside a function of C is not seen.  Nothing here judges.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gpusim.runtime
import properties
from gpusim.ops import Capture, Flush, Op, Read, Replay, Sync
from gpusim.program import buffers_of, renamed

COUNTED = tuple(
    f"{Path(package.__path__[0]) / folder}/"
    for package, folder in ((gpusim.runtime, ""), (properties, "mutants"))
)
"""The folders of the runtime's source, and of the mutants that replace parts of it."""


def widened(op: Op, width: int) -> list[Op]:
    """Returns the op ``width`` times, each over buffers of its own.

    A capture or a replay stays one op, whose graph is ``width`` times as long.  A flush or a sync
    is issued once, since it concerns all buffers.
    """
    match op:
        case Flush() | Sync():
            return [op]
        case Capture():
            each = [_apart(command, number) for number in range(width) for command in op.commands]
            return [replace(op, commands=tuple(each))]  # type: ignore[arg-type]
        case Replay():
            bindings = tuple(
                (_tagged(old, number), _tagged(new, number))
                for number in range(width)
                for old, new in op.bindings
            )
            scalars = None if op.scalars is None else op.scalars * width
            return [replace(op, scalars=scalars, bindings=bindings)]
        case _:
            return [_apart(op, number) for number in range(width)]


def _apart(op: Op, number: int) -> Op:
    if isinstance(op, Read):
        op = replace(op, result=_tagged(op.result, number))
    return renamed(op, {name: _tagged(name, number) for name in buffers_of(op)})


def _tagged(name: str, number: int) -> str:
    return f"{name}_{number}_"


class Lines:
    """Counts the executed lines of the runtime's source; a loop counts its line each time."""

    def __init__(self) -> None:
        self.lines = 0
        self.functions: Counter[str] = Counter()
        """The lines of each function; only ``FunctionLines`` counts them."""
        self._known: dict[CodeType, bool] = {}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count in the block."""
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        counts = self._known.get(code)
        if counts is None:
            counts = self._known[code] = code.co_filename.startswith(COUNTED)
        return self._ran if counts else None

    def _ran(self, frame: FrameType, event: str, _: Any) -> Any:
        self.lines += event == "line"
        return self._ran


class FunctionLines(Lines):
    """Counts the lines by function as well, which takes longer."""

    def _ran(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self.lines += 1
            names = [name for name in frame.f_code.co_qualname.split(".") if name[0] != "<"]
            self.functions[names[-1] if names else ""] += 1
        return self._ran
