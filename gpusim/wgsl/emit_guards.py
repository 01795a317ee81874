"""Writes branches that only some lanes take, in frames of their own.

A condition on the number of the lane makes a shorter range of lanes.  A condition on the place in
the workgroup makes a box: on one axis the first lanes, or a single lane; on the other axes all.
For any other condition the lanes are chosen one by one.
"""

from gpusim.wgsl import affine
from gpusim.wgsl.emit_loops import LoopWriter
from gpusim.wgsl.frames import Box, Frame, Lines
from gpusim.wgsl.ir import Const, If, Length, Memory, Op, Scalar, Statement
from gpusim.wgsl.uniformity import varies


class GuardWriter(LoopWriter):
    """Writes guards."""

    def guard(self, condition: Scalar, body: list[Statement]) -> bool:
        """Write a branch as a range or a box of lanes; False if its condition makes neither."""
        if isinstance(condition, Op) and condition.name == "and":
            return self._guards(condition, body)
        bound = self.bound(condition)
        if bound is None or not self.frame.in_row:
            return self._box(condition, body)
        kind, limit, below = bound
        outer = self.frame
        frame = self.new_frame(in_row=True)
        first = outer.first_lane()
        if kind == "below":
            self.lines.append(f"{frame.count} = min({outer.count}, {limit} - {first})")
            self.lines.append(f"if {frame.count} > 0:")
            part = f"slice(0, {frame.count})"
            start = first
        else:
            at = self.name("k")
            self.lines.append(f"{at} = {limit} - {first}")
            self.lines.append(f"if 0 <= {at} < {outer.count}:")
            part, start = f"slice({at}, {at} + 1)", f"{first} + {at}"
        frame.below = [*outer.below, *below]
        frame.uses_start = True
        self._fill(frame, part, start, body, [] if kind == "below" else [f"{frame.count} = 1"])
        return True

    def _box(self, condition: Scalar, body: list[Statement]) -> bool:
        """Write a branch as a box; False if its condition makes none.

        False as well if the lanes of the current frame may not be whole workgroups.
        """
        compared = _compared(condition)
        if compared is None or self.frame.parent is not None or not self.shares:
            return False
        name, left, right = compared
        axis = affine.axis(self.polynomial(left), self.sizes)
        if axis is None:
            return False
        limit, size, end = self.code(right), self.sizes[axis], self.name("k")
        if name == "eq":
            self.lines += [f"{end} = {limit}", f"if 0 <= {end} < {size}:"]
            box = Box(axis=axis, first=end, count="1", most=1)
        else:
            most = size
            if isinstance(right, Const):
                most = min(size, int(right.value) + (name == "le"))
            limit = f"min({limit}{' + 1' if name == 'le' else ''}, {size})"
            self.lines += [f"{end} = {limit}", f"if {end} > 0:"]
            box = Box(axis=axis, first="0", count=end, most=most)
        frame, part = self.new_frame(in_row=False), self.name("p")
        frame.box = box
        count = f"{self.root.count} // {size} * {box.count}"
        places = f"{self.root.count} // {self.size}, {self.sizes}, {axis}, {box.first}, {box.count}"
        opening = [f"{frame.count} = {count}", f"{part} = boxed({places})"]
        self._fill(frame, part, f"start_of({self.frame.start}, {part})", body, opening)
        return True

    def _guards(self, condition: Op, body: list[Statement]) -> bool:
        left, right = condition.operands
        for one, other in ((left, right), (right, left)):
            if not varies(other):
                self.statement(If(other, [If(one, body, [])], []))
                return True
            if self.bound(other) is not None:
                return self.guard(other, [If(one, body, [])])
        return False

    def bound(self, condition: Scalar) -> tuple[str, str, list[tuple[Memory, int]]] | None:
        """The bound that a condition sets to the lane's number; None if it sets no bound.

        Gives ``below`` or ``at``, the Python of the limit, and the memories with an element for
        each number below the limit.
        """
        compared = _compared(condition)
        if compared is None:
            return None
        name, left, right = compared
        if left.type != "u32" or self.lane_number(left) != {}:
            return None
        limit = self.code(right)
        if name == "eq":
            return "at", limit, []
        return (
            "below",
            f"{limit} + 1" if name == "le" else limit,
            (bounded(right) if name == "lt" else []),
        )

    def part(self, condition: str, body: list[Statement]) -> None:
        """Write a branch as a frame of the lanes for which a condition holds."""
        frame = self.new_frame(in_row=False)
        part = self.name("p")
        self.lines.append(f"{part}, {frame.count} = chosen({condition})")
        self.lines.append(f"if {frame.count}:")
        self._fill(frame, part, f"start_of({self.frame.start}, {part})", body, [])

    def _fill(
        self, frame: Frame, part: str, start: str, body: list[Statement], opening: list[str]
    ) -> None:
        """Write a frame: what it takes, its statements, and what it puts back."""
        outer, outer_lines = self.frame, self.lines
        self.frame, self.lines = frame, []
        self.statements(body)
        inner, self.lines, self.frame = self.lines, outer_lines, outer
        before: Lines = [*opening]
        if frame.uses_start:
            outer.first_lane()
            before.append(f"{frame.start} = {start}")
        before += [f"{here} = {there}[{part}]" for here, there in frame.taken.values()]
        after = [
            f"{there}[{part}] = {here}"
            for variable, (here, there) in frame.taken.items()
            if variable in frame.changed
        ]
        self.lines.append([*before, *inner, *after])


_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq"}


def _compared(condition: Scalar) -> tuple[str, Scalar, Scalar] | None:
    """Reads a condition as ``varying < shared``, ``<=`` or ``==``; the sides may be exchanged.

    Returns the operation's name, the varying side and the shared side; None for other conditions.
    """
    if not isinstance(condition, Op) or condition.name not in _MIRRORED:
        return None
    left, right = condition.operands
    name = condition.name
    if not varies(left):
        left, right, name = right, left, _MIRRORED[name]
    return (name, left, right) if name in ("lt", "le", "eq") and not varies(right) else None


def bounded(limit: Scalar) -> list[tuple[Memory, int]]:
    """The memories that have at least ``limit`` elements, each with an element's size in bytes."""
    if isinstance(limit, Length) and not limit.offset:
        return [(limit.memory, limit.stride)]
    if isinstance(limit, Op) and limit.name == "min":
        return [each for operand in limit.operands for each in bounded(operand)]
    return []
