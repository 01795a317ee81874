"""A checked entry point: it runs like any entry point, and puts mistakes into a ledger.

The shader's Python has several forms (``writer.py``).  The plain form runs over the caller's bytes.
If it finds a race, the detailed form runs in the same order, over copies made before the plain run,
and makes the reports.  So values are recorded only if there is something to report.  A small
dispatch over much memory runs in the detailed form at once, since this needs no copies.  Other
orders run over copies, so they do not change the caller's bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any, Protocol

from gpusim.wgsl.checks.depends import depends_on_order
from gpusim.wgsl.checks.desk import About, ReportDesk
from gpusim.wgsl.checks.doubts import WRAP
from gpusim.wgsl.checks.lowering import CheckedLowering
from gpusim.wgsl.checks.nodes import WRITE, Bound, Doubt, Site, Touch
from gpusim.wgsl.checks.orders import TRIED, Order, tried
from gpusim.wgsl.checks.recorder import Recorder
from gpusim.wgsl.checks.report import Ledger, ShaderReport, Triple
from gpusim.wgsl.checks.writer import ALONE, DETAILED, PLAIN, CheckedProgram
from gpusim.wgsl.exits import without_exits
from gpusim.wgsl.ir import Assign, Get, Load, Memory, Op, Scalar, Statement, Variable
from gpusim.wgsl.lanes import StepsExceeded
from gpusim.wgsl.lower import Lowered
from gpusim.wgsl.module import Entry, compile_module
from gpusim.wgsl.program import Run
from gpusim.wgsl.syntax import Place, ShaderError
from gpusim.wgsl.uniformity import statements_in

_MOST_SITES = 1 << 16
_LEAST_COPIED, _COPIED_EACH = 1 << 20, 1 << 12
"""The most bytes that are copied to run the plain form: a base, and more for each invocation."""
Recorded = tuple[CheckedProgram, Recorder, Run]
"""A program, its recorder, and the function that runs the program over arrays."""


def checked(entry: Entry, ledger: Ledger, text: str) -> "CheckedEntry":
    """The checked form of an entry point; ``ledger`` keeps this form and gets its reports."""
    made = ledger.entries.get(entry)
    if made is None:
        made = ledger.entries[entry] = CheckedEntry(entry, ledger, text)
    return made


class CheckedRun(Protocol):
    """Runs a grid of workgroups."""

    def __call__(
        self, x: int, y: int, z: int, *, call: str = "", orders: Callable[[], Iterable[Order]] = ...
    ) -> None:
        """``call`` is where the program called the dispatch.

        ``orders`` gives further orders.  They are asked for only if another order of atomics may
        show another mistake.  Then the grid runs under each of these orders as well, over copies.
        """
        raise NotImplementedError


class CheckedEntry(Entry):
    """An entry point whose runs are checked."""

    def __init__(self, entry: Entry, ledger: Ledger, text: str = "") -> None:
        super().__init__(entry.function)
        self._ledger, self._text = ledger, text

    @cached_property
    def _lowering(self) -> CheckedLowering:
        arithmetic = self._ledger.arithmetic
        made = self._shallow(lambda: CheckedLowering(self.function, arithmetic=arithmetic))
        if len(made.sites.all) >= _MOST_SITES:
            because = f"the entry point has {_MOST_SITES} places to check, or more"
            raise ShaderError(because, self.function.place)
        return made

    @property
    def sites(self) -> list[Site]:
        """The places that reports can name."""
        return self._lowering.sites.all

    @cached_property
    def _lowered(self) -> Lowered:
        return self._shallow(lambda: Lowered(self.function, self._lowering))

    @cached_property
    def _body(self) -> Any:
        body = self._shallow(lambda: without_exits(self._lowered.body))
        _keep_needed(body)
        return body

    def program(self, *, flat: bool, form: str = PLAIN) -> CheckedProgram:
        """The Python for one kind of grid, in one of the forms that ``writer.py`` names."""
        key = (flat, form)
        if key not in self._programs:
            self._programs[key] = self._shallow(
                lambda: CheckedProgram(self._lowered, self._body, flat=flat, form=form)
            )
        return self._programs[key]

    @cached_property
    def _programs(self) -> dict[tuple[bool, str], CheckedProgram]:
        return {}

    def _form_for(self, grid: tuple[int, int, int], copied_bytes: int) -> str:
        """The form in which it is cheapest to run a grid.

        Before the plain form runs, ``copied_bytes`` bytes are copied, so that the detailed form can
        run afterwards.  This costs, too.
        """
        lanes = prod((*grid, *self.point.workgroup_size))
        if lanes <= 1:
            return ALONE
        return DETAILED if copied_bytes > _LEAST_COPIED + lanes * _COPIED_EACH else PLAIN

    @cached_property
    def depends(self) -> bool:
        """Whether another order of workgroups and atomics may show another mistake."""
        return depends_on_order(self._body)

    def bind(  # type: ignore[override]
        self, buffers: Sequence[Any], immediates: Any = None
    ) -> CheckedRun:
        """Like ``Entry.bind``, but runs are checked."""
        arrays = self._arrays(buffers, immediates)
        sizes = {memory: len(array) for memory, array in self._pairs(arrays)}
        made: dict[tuple[bool, str], Recorded] = {}
        before: list[Any] = []
        copied = sum(len(array) for memory, array in self._pairs(arrays) if memory.written)

        def run(
            x: int, y: int, z: int, *, call: str = "", orders: Callable[[], Iterable[Order]] = tuple
        ) -> None:
            grid = (x, y, z)
            key = (y == 1 and z == 1, self._form_for(grid, copied))
            if key not in made:
                made[key] = self._recorded(arrays, flat=key[0], form=key[1])
            program, recorder, usual = made[key]
            if not program.tells:
                usual(x, y, z)
                return
            others = orders() if self.depends and key[1] != ALONE else ()
            begun = [*self._copies(arrays)] if others else []
            if program.looks and key[1] == PLAIN:
                self._keep(arrays, before)
            desk = ReportDesk(self.about, grid, call)
            recorder.begin_dispatch(sizes, desk)
            usual(x, y, z)
            if recorder.finish() and key[1] == PLAIN:
                desk = ReportDesk(self.about, grid, call)
                self._run(before, desk, sizes, form=DETAILED)
            self._tell(desk)
            known = {report.key for report in desk.reports}
            for order in others:
                desk = ReportDesk(self.about, grid, call, order.name)
                self._try(order, begun, desk, sizes)
                self._tell(desk, known)

        return run

    def _tell(self, desk: ReportDesk, known: set[tuple[object, ...]] | None = None) -> None:
        """Put reports into the ledger.

        With ``known``, a report whose key is in it is left out, and the keys of the others are
        added to it.
        """
        for report in desk.reports:
            if known is None or report.key not in known:
                self._ledger.add(self._text, report)
                if known is not None:
                    known.add(report.key)

    def _try(
        self, order: Order, begun: list[Any], desk: ReportDesk, sizes: dict[Memory, int]
    ) -> None:
        """Run in an order over copies of the arrays; if there is a race, again in detailed form."""
        try:
            if self._run([*self._copies(begun)], desk, sizes, order=order):
                desk.clear()
                again = order.again()
                self._run([*self._copies(begun)], desk, sizes, order=again, form=DETAILED)
        except StepsExceeded:
            # A loop waits for an invocation that comes later in this order.  WGSL does not promise
            # that the invocation has its turn.
            desk.clear()

    def _run(
        self,
        arrays: list[Any],
        desk: ReportDesk,
        sizes: dict[Memory, int],
        *,
        order: Order | None = None,
        form: str = PLAIN,
    ) -> bool:
        """Run a grid over copied arrays.  Returns whether there are races."""
        flat = desk.grid[1:] == (1, 1)
        _, recorder, run = self._recorded(arrays, flat=flat, form=form, order=order)
        recorder.begin_dispatch(sizes, desk)
        run(*desk.grid)
        return recorder.finish()

    def _copies(self, arrays: list[Any]) -> Iterator[Any]:
        """The arrays; those that the shader writes are copied."""
        for memory, array in self._pairs(arrays):
            yield array.copy() if memory.written else array

    def _pairs(self, arrays: list[Any]) -> Iterator[tuple[Memory, Any]]:
        return zip(self._lowered.bound.values(), arrays, strict=True)

    def _recorded(
        self, arrays: list[Any], *, flat: bool, form: str, order: Order | None = None
    ) -> Recorded:
        program = self.program(flat=flat, form=form)
        x, y, z = self.point.workgroup_size
        recorder = Recorder(program, self.sites, x * y * z)
        return program, recorder, program.telling(recorder.names, order)(*arrays)

    def _keep(self, arrays: list[Any], before: list[Any]) -> None:
        """Fill ``before`` with copies; if it has copies, update those whose bytes a run reads."""
        if not before:
            before += self._copies(arrays)
            return
        for (memory, array), kept in zip(self._pairs(arrays), before, strict=True):
            if array is not kept and memory in self._read:
                kept[:] = array

    @cached_property
    def _read(self) -> dict[Memory, None]:
        """The memories that the shader may both write and read."""
        touches = [each for each in statements_in(self._body) if isinstance(each, Touch)]
        return {each.memory: None for each in touches if each.how != WRITE}

    @cached_property
    def about(self) -> About:
        """What reports need to know of the shader."""
        return About(
            entry_point=self.point.name,
            sizes=self.point.workgroup_size,
            sites=self.sites,
            spaces={memory.name: memory.space for memory in self._lowered.memories},
        )


def _keep_needed(body: list[Statement]) -> None:
    """Keep a mark of wrapping only if an index uses the result; wrapping matters nowhere else."""
    values: dict[Variable, list[Scalar]] = {}
    todo: list[Scalar] = []
    for each in statements_in(body):
        if isinstance(each, Assign):
            values.setdefault(each.variable, []).append(each.value)
        elif isinstance(each, Bound):
            todo.append(each.index)
    used: dict[Variable, None] = {}
    while todo:
        value = todo.pop()
        if isinstance(value, Op):
            todo += value.operands
        elif isinstance(value, Load):
            continue
        elif isinstance(value, Get) and value.variable not in used:
            used[value.variable] = None
            todo += values.get(value.variable, [])
    for each in statements_in(body):
        if isinstance(each, Doubt) and each.rule == WRAP:
            each.needed = isinstance(each.result, Get) and each.result.variable in used


def check_dispatch(
    text: str,
    entry_point: str,
    buffers: Sequence[Any],
    grid: Triple,
    *,
    constants: Mapping[str, float] | None = None,
    arithmetic: bool = False,
    orders: int = TRIED,
) -> tuple[ShaderReport, ...]:
    """The mistakes of one dispatch, for the check of a kernel and for tests.

    A device refuses a shader if some invocations may miss a barrier.  Here it runs, and the barrier
    is reported.

    Args:
        buffers: for each binding of the entry point, by group and number, its bytes as an array of
            uint8; the dispatch changes them.
        grid: the workgroups in x, y and z.
        constants: the values of overrides.
        arithmetic: also warn of arithmetic that breaks a rule of ``doubts.py``.
        orders: how many other orders of workgroups and atomics to try, if these can decide what
            the shader does.

    Raises:
        ShaderError: the text is not valid.
        StepsExceeded: a loop has no end.
    """
    entry = compile_module(text).entry(entry_point, constants)
    ledger = Ledger(arithmetic=arithmetic)
    CheckedEntry(entry, ledger, text).bind(buffers)(*grid, orders=lambda: tried(orders))
    reports = ledger.reports
    if entry.missed_barriers and all(each.kind != "barrier" for each in reports):
        return (_refused(entry, entry.missed_barriers[0], grid), *reports)
    return reports


def _refused(entry: Entry, place: Place, grid: Triple) -> ShaderReport:
    return ShaderReport(
        kind="barrier",
        entry_point=entry.point.name,
        grid=grid,
        what=f"line {place.line}, column {place.column}: some invocations of a workgroup may miss "
        "this barrier, though none did in this dispatch",
        acts=(),
        remedy="move the barrier out of the branch or loop that only some invocations may take",
        places=(place,),
    )
