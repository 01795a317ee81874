"""Writes loops as Python: rounds of all lanes, or of those that have not left yet.

If lanes leave a loop in different rounds, the arrays shrink to the remaining lanes, and the values
of the others are put back into the outer frame.  So no round computes for a lane that has left.
"""

from gpusim.wgsl.emit_workgroup import WorkgroupWriter
from gpusim.wgsl.frames import Frame, Lines, LoopLog
from gpusim.wgsl.ir import Const, Leave, Loop, Statement
from gpusim.wgsl.uniformity import parts, varies


class LoopWriter(WorkgroupWriter):
    """Writes loops; a subclass writes other statements."""

    def statement(self, statement: Statement) -> None:
        """Write one statement."""
        raise NotImplementedError

    def statements(self, body: list[Statement]) -> None:
        """Write statements in order."""
        for statement in body:
            self.statement(statement)

    def inside(self, body: list[Statement]) -> Lines:
        """Write statements to a list of lines of their own, in the same frame, and return it."""
        outer, self.lines = self.lines, []
        slices, self.frame.slices = self.frame.slices, dict(self.frame.slices)
        self.statements(body)
        made, self.lines = self.lines, outer
        self.frame.slices = slices
        return made or ["pass"]

    def new_frame(self, *, in_row: bool) -> Frame:
        """A frame inside the current one."""
        frame = Frame(self.frame, self.numbers)
        frame.in_row = in_row
        return frame

    def write_loop(self, statement: Loop) -> None:
        rounds = self.name("r")
        self.lines.append(f"{rounds} = 0")
        counting = [f"{rounds} += 1", f"if {rounds} > most_rounds: too_long(most_rounds)"]
        if not parts(statement):
            self.lines.append("while True:")
            outer, self.frame.slices = self.frame.slices, {}
            self.lines.append([*counting, *self.inside(statement.body)])
            self.frame.slices = outer
            return
        outer_frame, outer_lines = self.frame, self.lines
        frame = self.frame = self.new_frame(in_row=False)
        frame.loop = LoopLog()
        self.lines = []
        at = f"at_{frame.number}"
        self._carry(statement, frame)
        for inner in statement.body:
            if isinstance(inner, Leave):
                self._leave_parted(inner, frame, at)
            else:
                self.statement(inner)
        body, self.lines, self.frame = self.lines, outer_lines, outer_frame
        frame.loop.time += 1
        before = [f"{frame.count} = {outer_frame.count}", f"{at} = None"]
        if frame.uses_start:
            before.append(f"{frame.start} = {outer_frame.first_lane()}")
        before += [f"{here} = {there}" for here, there in frame.taken.values()]
        self.lines += [*before, "while True:", [*counting, *body]]

    def _carry(self, statement: Loop, frame: Frame) -> None:
        """Give the loop's frame the variables that are used in the loop alone."""
        for variable in statement.owned:
            if variable.varying:
                frame.owned[variable] = None
                frame.read(variable)

    def write_leave(self, statement: Leave) -> None:
        """Leave a loop that all lanes leave together."""
        if isinstance(statement.condition, Const):
            if statement.condition.value:
                self.lines.append("break")
        else:
            self.lines.append(f"if {self.code(statement.condition)}: break")

    def _leave_parted(self, statement: Leave, frame: Frame, at: str) -> None:
        """Some lanes leave: their values go back, and the arrays shrink to the other lanes."""
        assert frame.loop is not None
        log = frame.loop
        if not varies(statement.condition):
            self.lines.append(f"if {self.code(statement.condition)}:")
            self.lines.append([lambda: _all_back(frame, at), "break"])
            return
        gone, kept, left = self.name("g"), self.name("k"), self.name("l")
        self.lines.append(f"{gone} = {self.code(statement.condition)}")
        self.lines.append(f"{left} = {frame.count} - int(count_nonzero({gone}))")
        now = log.time
        here = dict(frame.names)

        def moved() -> Lines:
            lines: Lines = []
            for variable, name in frame.names.items():
                carried = variable in frame.taken
                if carried or (variable in here and log.last.get(variable, 0) > now):
                    lines.append(f"{name} = {name}[{kept}]")
            if frame.uses_start:
                lines.append(f"{frame.start} = start_of({frame.start}, {kept})")
            return lines

        self.lines.append(f"if {left} != {frame.count}:")
        self.lines.append(
            [
                f"if not {left} and {at} is None:",
                [lambda: _all_back(frame, at, whole=True), "break"],
                f"{gone} = flatnonzero({gone})",
                lambda: _some_back(frame, at, gone),
                f"if not {left}: break",
                f"{kept} = others({gone}, {frame.count})",
                f"{at} = {kept} if {at} is None else {at}[{kept}]",
                moved,
                f"{frame.count} = {left}",
            ]
        )
        frame.slices.clear()


def _all_back(frame: Frame, at: str, *, whole: bool = False) -> Lines:
    changed = [frame.taken[variable] for variable in frame.changed]
    together = [f"{there} = {here}" for here, there in changed]
    if whole or not changed:
        return together
    scattered = [f"{there}[{at}] = {here}" for here, there in changed]
    return [f"if {at} is None:", together, "else:", scattered]


def _some_back(frame: Frame, at: str, gone: str) -> Lines:
    changed = [frame.taken[variable] for variable in frame.changed]
    if not changed:
        return []
    place = f"{gone}_at"
    lines: Lines = [f"{place} = {gone} if {at} is None else {at}[{gone}]"]
    return lines + [f"{there}[{place}] = {here}[{gone}]" for here, there in changed]
