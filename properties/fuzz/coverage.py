"""Coverage tables: what a session should have met, and how often it did.

The rows are fixed, so what never happened is shown as 0.  Unexpected events are shown as well.
Nothing is counted here.
"""

from collections.abc import Collection, Iterable, Mapping

from gpusim.ops import VERBS
from gpusim.runtime.batch import FlushReason
from gpusim.runtime.policy import Uniforms
from properties.clients import CLIENTS, FOREIGN_CLIENTS
from properties.fuzz.tally import ENOUGH_TRACES, FLUSH, OP, Tally
from properties.model.case import PLAIN
from properties.oracles.coverage import BOUNDARIES, ENOUGH, FEASIBLE, why_infeasible
from properties.oracles.goals import GOALS
from properties.oracles.laws import LAWS
from properties.oracles.metamorphic.registry import KINDS

Table = dict[str, dict[str, int]]
"""Counts by row and column."""

_KINDS = tuple(op.__name__.lower() for op in VERBS)
_REFUSALS = {
    "alloc": ("OutOfRange", "LimitExceeded", "OutOfMemory"),
    "write": ("InvalidHandle", "OutOfRange"),
    "dispatch": ("InvalidBinding", "InvalidHandle", "InvalidScalar", "LimitExceeded"),
    "copy": ("InvalidHandle", "OutOfRange"),
    "read": ("InvalidHandle", "OutOfRange"),
    "free": ("InvalidHandle",),
    "capture": (
        "InvalidHandle",
        "InvalidBinding",
        "InvalidScalar",
        "LimitExceeded",
        "OutOfRange",
    ),
    "replay": ("InvalidHandle", "InvalidBinding", "InvalidScalar", "OutOfRange"),
}
"""For each kind of op, the errors by which it can be refused, whatever the client does."""
_PARTS = {
    "pooled uniforms": ("created", "reused", "evicted", "exhausted"),
    "cached uniforms": ("created", "reused", "evicted"),
    "ring uniforms": ("created", "reused", "evicted", "exhausted"),
    "cached bind groups": ("created", "reused", "evicted", "invalidated"),
    "shapes": ("created", "reused", "evicted"),
    "pooled staging": ("created", "reused", "evicted", "exhausted"),
}
"""The events of each pool and cache."""
_VARIANTS = {
    "clients": tuple(CLIENTS),
    "relations": tuple(name for name in KINDS if name not in ("same", "set_device")),
}
"""The clients and transformations that a session draws for its programs."""
_REASONS = tuple(reason.value for reason in FlushReason if reason is not FlushReason.CLOSE)
"""The reasons of flushes, without ``close``: a program ends with a sync, so its close has nothing
to submit."""


_SHOWN_CELLS = 4
"""The most pairs that a warning names; the table has all."""


def coverage(tally: Tally) -> dict[str, Table]:
    """Tables of ops, refusals, laws, rare events, pairs, what was drawn, flushes and parts.

    If no driver was traced, there are no tables of driver events.  Then the table of refusals is
    empty too if no op was refused.
    """
    seen = tally.events
    tables = {
        "ops": {kind: {"accepted": tally.accepted[kind]} for kind in _KINDS},
        "refusals": _table(_REFUSALS, tally.refused),
        "laws": _laws(tally),
        "goals": _goals(tally),
        "cells": _cells(tally),
        "variants": _table(_VARIANTS, tally.variants),
    }
    if tally.programs and not seen:
        drawn = {name: tally.variants["clients", name] for name in (PLAIN, *FOREIGN_CLIENTS)}
        tables["variants"]["clients"] = {name: count for name, count in drawn.items() if count}
        return tables if tally.refused else {**tables, "refusals": {}}
    for kind in _KINDS:
        tables["ops"][kind]["driver"] = seen[OP, kind]
    flushes = {reason: seen[FLUSH, reason] for reason in _REASONS}
    flushes |= {name: count for (what, name), count in sorted(seen.items()) if what == FLUSH}
    tables["flushes"] = {reason: {"submits": count} for reason, count in flushes.items()}
    parts = {key: seen[key] for key in seen if key[0] not in (OP, FLUSH)}
    return {**tables, "parts": _table(_PARTS, parts)}


def warnings(tally: Tally, uniforms: Collection[Uniforms], *, faults: bool) -> list[str]:
    """Why the coverage of a session is weak, as sentences.

    ``uniforms``: the kinds of uniforms under the session's policies.  ``faults``: whether the
    session planned faults of the device.
    """
    reached, checked = tally.reached, tally.checked
    found = []
    if 2 * checked.constant_reads > checked.reads:
        constant = f"{checked.constant_reads} of {checked.reads} reads"
        found.append(f"{constant} should give one repeated byte, and so show little")
    if reached.programs < ENOUGH_TRACES:
        return found
    within_reach = [law.name for law in LAWS if law.needs_faults in (None, faults)]
    idle = [name for name in within_reach if not tally.held[name]]
    if idle:
        found.append(f"never checked anything: law {', '.join(idle)}")
    few = [
        cell
        for cell in FEASIBLE
        if reached.cells[cell] < ENOUGH and not why_infeasible(cell, uniforms)
    ]
    if few:
        few.sort(key=lambda cell: reached.cells[cell])
        shown = "; ".join(f"{cell} ({reached.cells[cell]})" for cell in few[:_SHOWN_CELLS])
        shown += f"; and {len(few) - _SHOWN_CELLS} more" if len(few) > _SHOWN_CELLS else ""
        found.append(f"{len(few)} pairs of ops were met less than {ENOUGH} times: {shown}")
    return found


def missed(tables: Mapping[str, Table]) -> list[str]:
    """What was never met, in words."""
    return [
        f"{name}: {row} {column}"
        for name, table in tables.items()
        for row, columns in table.items()
        for column, count in columns.items()
        if not count
    ]


def _laws(tally: Tally) -> Table:
    """A row for each first letter of the laws' names; empty if no law checked anything."""
    table: Table = {}
    for law in LAWS if tally.held else ():
        table.setdefault(law.name[0], {})[law.name] = tally.held[law.name]
    return table


def _goals(tally: Tally) -> Table:
    """A row for each rare event; empty if no trace was measured."""
    reached = tally.reached
    return {goal: {"times": reached.goals[goal]} for goal in GOALS if reached.programs}


def _cells(tally: Tally) -> Table:
    """The number of pairs of ops by hazard and boundary; the JSON has each pair."""
    table: Table = {}
    for cell in FEASIBLE if tally.reached.programs else ():
        row = table.setdefault(cell.hazard, dict.fromkeys(BOUNDARIES, 0))
        row[cell.boundary] += tally.reached.cells[cell]
    return table


def _table(expected: Mapping[str, Iterable[str]], counts: Mapping[tuple[str, str], int]) -> Table:
    table = {row: dict.fromkeys(columns, 0) for row, columns in expected.items()}
    for row, column in sorted(counts):
        table.setdefault(row, {})[column] = counts[row, column]
    return table
