"""Finds the accesses that can meet between two barriers, and so must be checked in a run.

A region is a part of the text in which control passes no barrier.  Regions are found by joining
parts: the end of a loop with its beginning, the end of a branch with what follows.  Within a region
only the accesses of one invocation are ordered.  If a region does not write a memory, or each
invocation has its own part of the memory there, no race is possible.  No barrier orders two
workgroups, so between workgroups a whole dispatch is one region.
"""

from dataclasses import dataclass, field
from typing import Any

from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE, Touch, Wait
from gpusim.wgsl.checks.proofs import Prover
from gpusim.wgsl.ir import If, Leave, Loop, Memory
from gpusim.wgsl.uniformity import statements_in

FREE, COUNTED, EXACT = "free", "counted", "exact"


@dataclass(slots=True)
class Plan:
    """How each memory is checked."""

    modes: dict[Memory, str] = field(default_factory=dict)
    """FREE: no race is possible.  COUNTED: the memory is only written, so that the number of writes
    and the number of written words tell whether two writes met.  EXACT: accesses are compared."""
    waits: tuple[str, ...] = ()
    """The address spaces in which barriers of the shader order the accesses."""
    halves: dict[Memory, None] = field(default_factory=dict)
    """Memories with half floats, whose words are of two bytes."""
    fills: dict[Memory, None] = field(default_factory=dict)
    """Workgroup memories that are read; for these the run notes which words were written."""


def planned(body: list[Any], prover: Prover) -> Plan:
    """Decide for each memory how it is checked, and for each access whether it can race."""
    every = [*statements_in(body)]
    touches = [each for each in every if isinstance(each, Touch)]
    waits = tuple(dict.fromkeys(each.space for each in every if isinstance(each, Wait)))
    plan = Plan(waits=waits)
    joined = Regions("workgroup")
    joined.walk(body, joined.new())
    for memory in dict.fromkeys(each.memory for each in touches):
        own = [each for each in touches if each.memory is memory]
        if any("f16" in each.site.kinds for each in own):
            plan.halves[memory] = None
        if memory.space == "workgroup":
            plan.modes[memory] = _of_workgroup(own, joined, prover)
            if any(each.how == READ for each in own):
                plan.fills[memory] = None
                for each in own:
                    each.covers = each.how == WRITE and prover.covers(each)
        else:
            plan.modes[memory] = _of_storage(own, prover)
    return plan


def _of_workgroup(touches: list[Touch], joined: "Regions", prover: Prover) -> str:
    regions: dict[int, list[Touch]] = {}
    for touch in touches:
        regions.setdefault(joined.root(touch.region), []).append(touch)
    mode = FREE
    for inside in regions.values():
        plain = any(each.how == WRITE for each in inside)
        mixed = {each.how for each in inside} == {READ, ATOMIC}
        safe = not (plain or mixed) or prover.alone(inside, in_group=True)
        for each in inside:
            each.races = not safe
        mode = mode if safe else EXACT
    return mode


def _of_storage(touches: list[Touch], prover: Prover) -> str:
    hows = {each.how for each in touches}
    if hows in ({READ}, {ATOMIC}) or prover.alone(touches, in_group=False):
        return FREE
    return COUNTED if hows == {WRITE} else EXACT


class Regions:
    """Joins the regions that no barrier of an address space separates."""

    def __init__(self, space: str) -> None:
        self._space = space
        self._above: list[int] = []

    def new(self) -> int:
        """A new region, which is joined with no other."""
        self._above.append(len(self._above))
        return len(self._above) - 1

    def root(self, region: int) -> int:
        """The region that stands for all regions that are joined with ``region``."""
        while self._above[region] != region:
            region = self._above[region]
        return region

    def join(self, one: int, other: int) -> int:
        """Make two regions one."""
        self._above[self.root(other)] = self.root(one)
        return self.root(one)

    def walk(self, body: list[Any], region: int) -> int:
        """Give each access its region; returns the region at the end of ``body``."""
        for statement in body:
            if isinstance(statement, Touch):
                statement.region = region
            elif isinstance(statement, Wait) and statement.space == self._space:
                region = self.new()
            elif isinstance(statement, If):
                then = self.walk(statement.then, region)
                region = self.join(then, self.walk(statement.other, region))
            elif isinstance(statement, Loop):
                region = self._loop(statement, region)
        return region

    def _loop(self, loop: Loop, region: int) -> int:
        here, after = region, self.new()
        for statement in loop.body:
            if isinstance(statement, Leave):
                self.join(here, after)
            else:
                here = self.walk([statement], here)
        self.join(region, here)
        return self.root(after)
