"""Writes the Python of a checked entry point: the usual code, and calls of a recorder.

An index is checked unless it is proved small.  The check is an inline comparison; only if the index
fails it, the recorder is called.  An access is recorded if ``regions.py`` could not exclude a race.
The detailed form records values as well.
"""

from collections.abc import Callable
from typing import Any

from gpusim.wgsl import affine
from gpusim.wgsl.checks.nodes import ATOMIC, READ, Bound, Doubt, Touch, Wait
from gpusim.wgsl.checks.orders import Order, names_under
from gpusim.wgsl.checks.proofs import Prover
from gpusim.wgsl.checks.regions import COUNTED, FREE, Plan, planned
from gpusim.wgsl.emit import Writer
from gpusim.wgsl.frames import Frame, Lines
from gpusim.wgsl.ir import Length, Load, Statement
from gpusim.wgsl.lanes import NAMES
from gpusim.wgsl.lower import Lowered
from gpusim.wgsl.program import Program, Run
from gpusim.wgsl.ranges import most_of
from gpusim.wgsl.uniformity import varies

_MOST_ROUNDS = 1 << 12
"""The most rounds of a loop in a run under an ``Order``.

There a loop may wait in vain for an invocation that comes later.
"""

PLAIN, DETAILED, ALONE = "plain", "detailed", "alone"
"""Forms of a program: the first tells whether there are races, the second which races there are.
The third is for a single invocation, which races with nobody."""


class CheckedWriter(Writer):
    """Writes marks too."""

    def __init__(self, sizes: tuple[int, int, int], plan: Plan, *, detailed: bool) -> None:
        super().__init__(sizes)
        self._plan, self._detailed = plan, detailed
        self.tells = False
        """Whether the text calls the recorder at all."""
        self.looks = False
        """Whether accesses are compared."""

    def statement(self, statement: Any) -> None:
        """Write one statement or mark."""
        form = _FORMS.get(type(statement))
        if form is None:
            super().statement(statement)
        else:
            form(self, statement)

    def _lanes(self) -> str:
        """Which lanes of the block are here; None for all."""
        return "None" if self.frame.parent is None else self.frame.read(self.lane)

    def _tell(self, line: str) -> None:
        self.tells = True
        self.lines.append(line)

    def _touch(self, mark: Touch) -> None:
        memory, site = mark.memory, mark.site.number
        looks = mark.races and self._plan.modes[memory] != FREE
        fills = memory in self._plan.fills
        if not looks and not fills:
            return
        watch = f"watch_{memory}"
        if fills and mark.covers and self.frame.parent is None:
            self.lines.append(f"{watch}.partial = False")
            fills = False
        kind = "f16" if memory in self._plan.halves else "u32"
        row = looks and not fills and not self._detailed and self._plan.modes[memory] == COUNTED
        span = self.span_of(memory, mark.address, kind) if row and self.frame.in_row else None
        where = span or self.shared_index(mark.address, kind) or self.index(mark.address, kind)
        if not where.isidentifier() and looks and fills:
            name = self.name("w")
            self.lines.append(f"{name} = {where}")
            where = name
        lanes = self._lanes()
        if fills:
            call = "ask" if mark.how == READ else "fill"
            self._tell(f"if {watch}.partial: {watch}.{call}({site}, {where}, {lanes})")
        if looks:
            self.looks = True
            values = self._values(mark) if self._detailed else ""
            self._tell(f"{watch}.note({site}, {where}, {lanes}{values})")

    def _values(self, mark: Touch) -> str:
        """The last argument of a call of ``note``: what is written or read.

        It has a value for each offset of the site.  For an atomic, the argument is left out.
        """
        if mark.how == ATOMIC:
            return ""
        made = [*mark.values]
        if mark.how == READ:
            site = mark.site
            for offset, kind in zip(site.offsets, site.kinds, strict=True):
                word = "u32" if kind == "bool" else kind
                made.append(Load(word, mark.memory, mark.address.plus(offset)))
        return ", (" + "".join(f"{self.code(each)}, " for each in made) + ")"

    def _bound(self, mark: Bound) -> None:
        index, limit = mark.index, mark.limit
        if isinstance(limit, int) and index.type == "u32" and most_of(index, self.most) < limit:
            return
        bound = str(limit) if isinstance(limit, int) else self.code(limit)
        rest = self.lane_number(index) if self.frame.in_row and varies(index) else None
        if rest is not None:
            self._row_bound(mark, bound, affine.python_of(rest))
            return
        found = self.lanes_of(index) if self.frame.in_row and index.type == "u32" else None
        if found is not None and found.step:
            self._tell(self._steps_bound(mark.site.number, bound, found))
            return
        code = self.code(index)
        fails = f"not 0 <= {code} < {bound}"
        if varies(index):
            words = code if index.type == "u32" else f"{code}.view(u32)"
            fails = f"{words}.max() >= {bound}"
        self._tell(f"if {fails}: bound({mark.site.number}, {code}, {bound}, {self._lanes()})")

    def _row_bound(self, mark: Bound, bound: str, rest: str) -> None:
        """Write the check of an index that is the lane's number plus ``rest``.

        The lanes are consecutive, so it is enough to look at the first and the last.
        """
        if rest == "0" and isinstance(mark.limit, Length) and self._is_below(mark.limit):
            return
        first, count, site = self.frame.first_lane(), self.frame.count, mark.site.number
        shifted = first if rest == "0" else f"{first} + {rest}"
        call = f"row({site}, {first}, {rest}, {count}, {bound})"
        self._tell(f"if not 0 <= {shifted} <= {bound} - {count}: {call}")

    def _steps_bound(self, site: int, bound: str, found: affine.Affine) -> str:
        """Python that checks an index that is linear in the lane's number.

        The first lane has the smallest index, and the last lane the largest.
        """
        first, count, rest = self.frame.first_lane(), self.frame.count, affine.python_of(found.rest)
        ends = [f"{found.step} * {lane} + {rest}" for lane in (first, f"({first} + {count} - 1)")]
        numbers = f"numbers({first}, {count}, {found.step}, {rest})"
        fails = f"not (0 <= {ends[0]} and {ends[1]} < {bound})"
        return f"if {fails}: bound({site}, {numbers}, {bound}, {self._lanes()})"

    def _is_below(self, limit: Length) -> bool:
        """Whether a guard keeps the lanes' numbers below a length."""
        return not limit.offset and any(
            memory is limit.memory and size >= limit.stride for memory, size in self.frame.below
        )

    def _wait_here(self, mark: Wait) -> None:
        self._tell(f"wait({mark.site.number}, {self._lanes()})")

    def _doubt(self, mark: Doubt) -> None:
        if mark.needed:
            operands = "".join(f"{self.code(each)}, " for each in mark.operands)
            result, lanes = self.code(mark.result), self._lanes()
            self._tell(f"doubt({mark.site.number}, ({operands}), {result}, {lanes})")


_FORMS: dict[type, Any] = {
    Touch: CheckedWriter._touch,
    Bound: CheckedWriter._bound,
    Wait: CheckedWriter._wait_here,
    Doubt: CheckedWriter._doubt,
}


class CheckedProgram(Program):
    """The Python of a checked entry point for one kind of grid."""

    def __init__(
        self, lowered: Lowered, body: list[Statement], *, flat: bool, form: str = PLAIN
    ) -> None:
        prover = Prover(lowered.built_ins, lowered.workgroup_size, body, flat=flat)
        self.plan = planned(body, prover)
        if form == ALONE:
            self.plan.modes = dict.fromkeys(self.plan.modes, FREE)
        self.detailed = form == DETAILED
        super().__init__(lowered, body, flat=flat)
        self.tells, self.looks = self._last.tells, self._last.looks

    def _writer(self) -> Writer:
        sizes = self._lowered.workgroup_size
        self._last = CheckedWriter(sizes, self.plan, detailed=self.detailed)
        return self._last

    def _memories(self, writer: Writer, root: Frame) -> Lines:
        made = super()._memories(writer, root)
        return [f"begin({root.start}, {root.count})", *made] if self._last.tells else made

    def telling(self, names: dict[str, Any], order: Order | None = None) -> Callable[..., Run]:
        """Like ``make``, for a run with a recorder's ``names``, and in ``order`` if it is given."""
        every = {**NAMES, **names}
        if order is None:
            return self._made(every, lambda stop: self._block)
        ordered = names_under(order, self._sizes)
        ordered["most_rounds"] = _MOST_ROUNDS
        return self._made({**every, **ordered}, ordered["block_of"])

    def _sizes(self, stop: int) -> tuple[int, ...]:
        """The sizes that a block may have: the usual one, one workgroup, or one invocation.

        The smaller sizes grow with a large grid, so that there are not too many blocks.
        """
        group = self.smallest_block(stop, self._size)
        alone = () if self._lowered.shares else (self.smallest_block(stop, 1),)
        return tuple(dict.fromkeys((self._block, group, *alone)))
