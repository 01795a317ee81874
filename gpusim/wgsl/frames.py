"""Frames: which lanes run a piece of the Python, and the names of variables there.

A frame has exactly the lanes that run its statements, so nothing in it needs a mask.  If lanes
separate, an inner frame takes its part of each array that it needs, and puts back what it changed.
A part is a slice if its lanes are consecutive, and otherwise an array of positions.  Each of
``Lines`` is a string, or a list of lines to be indented, or a function that returns lines.  Such a
function is called at the end, when it is known what the frame needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from gpusim.wgsl.ir import Memory, Variable

Lines = list[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """In each workgroup, the lanes at ``count`` places on ``axis``, beginning with ``first``.

    ``first`` and ``count`` are Python.
    """

    axis: int
    first: str
    count: str
    most: int
    """The count never exceeds this."""


class Frame:
    """Lanes, and the Python names of the variables that vary among them."""

    def __init__(self, parent: "Frame | None", numbers: "count[int]") -> None:
        self.parent = parent
        self.number = next(numbers)
        self.count = f"n{self.number}"
        """The name that the number of lanes has in the Python."""
        self.start = f"o{self.number}"
        """The name that ``start`` of ``lanes.py`` has in the Python.

        It is the first lane's number if the lanes are consecutive, or else an array of all numbers.
        """
        self.in_row = False
        """Whether the lanes surely have consecutive numbers."""
        self.box: Box | None = None
        """The box that the lanes of this frame fill in each workgroup, if they do."""
        self.below: list[tuple[Memory, int]] = []
        """The memories that surely have an element at each lane's number.

        The second entry is an element's size in bytes.
        """
        self.names: dict[Variable, str] = {}
        self.taken: dict[Variable, tuple[str, str]] = {}
        """Variables of outer frames: the name in this frame, and that in the next outer one."""
        self.changed: dict[Variable, None] = {}
        self.owned: dict[Variable, None] = {}
        """Variables that nobody reads after the frame."""
        self.lazy: dict[Variable, Callable[[], str]] = {}
        """Values that are computed only if they are read."""
        self.first: Lines = []
        """Lines before all others."""
        self.slices: dict[Any, str] = {}
        self.loop: LoopLog | None = None
        self.uses_start = False

    def read(self, variable: Variable) -> str:
        """The name of a variable here."""
        name = self.names.get(variable)
        if name is None:
            if variable in self.lazy:
                code = self.lazy[variable]()
                name = self.declare(variable)
                self.first.append(f"{name} = {code}")
                return name
            if self.parent is None:
                raise KeyError(str(variable))
            outer = self.parent.read(variable)
            name = self.declare(variable)
            self.taken[variable] = (name, outer)
        if self.loop is not None:
            self.loop.use(variable)
        return name

    def declare(self, variable: Variable) -> str:
        """A new name for a variable that begins here."""
        name = f"{variable}_{self.number}"
        self.names[variable] = name
        if self.loop is not None:
            self.loop.use(variable)
        return name

    def write(self, variable: Variable) -> str:
        """The name of a variable that is changed here."""
        name = self.read(variable)
        is_new = variable in self.taken and variable not in self.changed
        if is_new and variable not in self.owned:
            self.changed[variable] = None
            assert self.parent is not None
            self.parent.write(variable)
        return name

    def first_lane(self) -> str:
        """The name ``start``; the Python of this frame and the outer ones will give it a value."""
        frame: Frame | None = self
        while frame is not None and not frame.uses_start:
            frame.uses_start = True
            frame = frame.parent
        return self.start


class LoopLog:
    """Notes when each variable of a loop's frame is last used.

    If lanes leave the loop after that, the variable's array need not shrink to the other lanes.
    """

    def __init__(self) -> None:
        self.time = 0
        self.last: dict[Variable, int] = {}

    def use(self, variable: Variable) -> None:
        """Note a use."""
        self.time += 1
        self.last[variable] = self.time


def written(lines: Lines, depth: int = 0) -> list[str]:
    """The text of lines, indented."""
    text: list[str] = []
    for line in lines:
        if isinstance(line, str):
            text.append("    " * depth + line)
        elif isinstance(line, list):
            inner = written(line, depth + 1)
            if not inner and text and text[-1].endswith(":"):
                inner = ["    " * (depth + 1) + "pass"]
            text += inner
        else:
            text += written(line(), depth)
    return text
