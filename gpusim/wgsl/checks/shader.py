"""Checks one dispatch of one shader, for the check of a kernel and for tests.

A device refuses a shader if some invocations may miss a barrier.  Here it runs, and the barrier is
reported.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gpusim.wgsl.checks.entry import CheckedEntry
from gpusim.wgsl.checks.orders import TRIED, tried
from gpusim.wgsl.checks.report import Ledger, ShaderReport, Triple
from gpusim.wgsl.module import Entry, compile_module
from gpusim.wgsl.syntax import Place


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
    """The mistakes of one dispatch.

    Args:
        buffers: for each binding of the entry point, by group and number, its bytes as an array of
            uint8; the dispatch changes them.
        grid: the workgroups in x, y and z.
        constants: the values of overrides.
        arithmetic: also warn of arithmetic that is seldom meant.
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
