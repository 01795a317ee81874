"""Reports of mistakes in shaders: the places in the text, the invocations, and the remedy.

One report stands for all mistakes of one kind at the same places of the text, and counts them.  A
Ledger has the reports of many dispatches.  Nothing here looks for mistakes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gpusim.wgsl.syntax import Place

Triple = tuple[int, int, int]
ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What one invocation did at one place of the text.

    ``invocation`` and ``workgroup`` are ``global_invocation_id`` and ``workgroup_id``; ``did`` is
    a verb with the value, if there is one.
    """

    line: int
    column: int
    did: str
    invocation: Triple
    workgroup: Triple

    def __str__(self) -> str:
        who = f"invocation {_shown(self.invocation)} of workgroup {_shown(self.workgroup)}"
        return f"line {self.line}, column {self.column}: {who} {self.did}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShaderReport:
    """A mistake in a shader that a run showed.

    ``kind``: ``race``, ``bounds``, ``barrier``, ``unwritten`` or ``arithmetic``; the last two are
    warnings.  ``acts`` are what showed it the first time, and ``count`` is the number of times.
    ``call`` is where the program called the dispatch, if that is known.  ``order`` is the order of
    workgroups and atomics that showed the mistake; it is empty for the usual order.
    """

    kind: str
    entry_point: str
    grid: Triple
    what: str
    acts: tuple[Act, ...]
    remedy: str
    places: tuple[Place, ...]
    call: str = ""
    order: str = ""
    count: int = 1

    @property
    def severity(self) -> str:
        """``error`` or ``warning``."""
        return WARNING if self.kind in ("unwritten", "arithmetic") else ERROR

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for reports of the same mistake."""
        return self.entry_point, self.kind, self.places

    def __str__(self) -> str:
        where = f" at {self.call}" if self.call else ""
        times = "" if self.count == 1 else f", {self.count} times"
        lines = [f"{self.kind}: {self.what}{times}"]
        lines += [f"  {act}" for act in self.acts]
        lines.append(f"  in {self.entry_point}, dispatched over {_shown(self.grid)}{where}")
        if self.order:
            lines.append(f"  in another order of workgroups and atomics: {self.order}")
        lines.append(f"  what to do: {self.remedy}")
        return "\n".join(lines)


@dataclass(eq=False)
class Ledger:
    """The reports of many dispatches, each mistake once."""

    show: Callable[[ShaderReport], None] | None = None
    """Called with each mistake when it is first met."""
    arithmetic: bool = False
    """Whether arithmetic is checked."""
    entries: dict[Any, Any] = field(default_factory=dict)
    """The checked form of each entry point."""
    _reports: dict[tuple[object, ...], ShaderReport] = field(default_factory=dict)

    @property
    def reports(self) -> tuple[ShaderReport, ...]:
        """Each mistake, with how often it was met."""
        return tuple(self._reports.values())

    def clear(self) -> None:
        """Forget all reports."""
        self._reports.clear()

    def add(self, text: str, report: ShaderReport) -> None:
        """Take a report on the shader ``text``."""
        key = (text, *report.key)
        known = self._reports.get(key)
        if known is None:
            self._reports[key] = report
            if self.show is not None:
                self.show(report)
        else:
            self._reports[key] = replace(known, count=known.count + report.count)


def _shown(numbers: Triple) -> str:
    return "(" + ", ".join(map(str, numbers)) + ")"
