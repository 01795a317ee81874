"""The recorder, which the Python of a checked shader calls; each set of bound buffers has its own.

It gives each block's lanes their tokens, passes barriers to the watches, and passes findings to a
Desk.  In the plain form (entry.py) the shader passes no values, so of races the recorder notes only
whether there are any.  Findings other than races go to the desk in both forms.
"""

from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from gpusim.wgsl.checks.doubts import doubtful
from gpusim.wgsl.checks.nodes import Site
from gpusim.wgsl.checks.regions import COUNTED, EXACT
from gpusim.wgsl.checks.shadow import Clash
from gpusim.wgsl.checks.watch import CountedWatch
from gpusim.wgsl.checks.watches import StorageWatch, WorkgroupWatch, tokens_of
from gpusim.wgsl.checks.writer import CheckedProgram

Values = Any
_WRAP = 2**32


class Desk(Protocol):
    """Takes the findings.

    Arrays have an element for each lane.  A token is an invocation and a site (shadow.py); only in
    a ``clash`` the site is filled in.
    """

    def clash(self, name: str, found: Clash) -> None:
        """Take conflicting accesses to a memory."""
        raise NotImplementedError

    def unwritten(self, site: int, words: Values, tokens: Values) -> None:
        """Take reads of workgroup memory that nobody wrote."""
        raise NotImplementedError

    def outside(self, site: int, index: Values, limit: int, tokens: Values) -> None:
        """Take indices out of range."""
        raise NotImplementedError

    def missed(self, site: int, here: Values, absent: Values) -> None:
        """Take lanes that came to a barrier, and lanes of the same workgroups that did not."""
        raise NotImplementedError

    def doubted(self, site: int, operands: list[Values], result: Values, tokens: Values) -> None:
        """Take arithmetic that breaks a rule of ``doubts.py``."""
        raise NotImplementedError


@lru_cache(maxsize=16)
def _pattern(count: int) -> Values:
    return np.arange(1, count + 1, dtype=np.int32)


class Recorder:
    """Watches over the memories of one program."""

    def __init__(self, program: CheckedProgram, sites: list[Site], size: int) -> None:
        self.size, self.groups, self.start, self._count = size, 0, 0, 0
        self._numbers: Values = None
        self.raced = False
        """Whether a race was found in this dispatch."""
        self._sites, self._detailed = sites, program.detailed
        self._desk: Desk | None = None
        self._open = False
        plan = program.plan
        self._counted: dict[Any, CountedWatch] = {}
        self._storage: dict[Any, StorageWatch] = {}
        self._workgroup: dict[Any, WorkgroupWatch] = {}
        for memory, mode in plan.modes.items():
            unit = 2 if memory in plan.halves else 4
            kept = program.detailed
            if memory.space == "workgroup":
                if mode == EXACT or memory in plan.fills:
                    watch = WorkgroupWatch(self, sites, memory.name, unit, keeps_values=kept)
                    watch.units = -(-memory.size // unit)
                    watch.fills = memory in plan.fills
                    self._workgroup[memory] = watch
            elif mode == COUNTED and not program.detailed:
                self._counted[memory] = CountedWatch(self, sites, memory.name, unit)
            elif mode in (EXACT, COUNTED):
                one = StorageWatch(self, sites, memory.name, unit, keeps_values=kept)
                one.waits = "storage" in plan.waits
                self._storage[memory] = one

    @property
    def names(self) -> dict[str, Any]:
        """The names that the Python of the program uses."""
        every: dict[Any, Any] = {**self._counted, **self._storage, **self._workgroup}
        watches = {f"watch_{memory}": watch for memory, watch in every.items()}
        own = {
            "begin": self.begin,
            "wait": self.wait,
            "bound": self.bound,
            "row": self.row,
            "doubt": self.doubt,
        }
        return {**own, **watches}

    def begin_dispatch(self, sizes: dict[Any, int], desk: Desk) -> None:
        """Begin a dispatch over bindings of these sizes."""
        self.raced, self._desk = False, desk
        self._open = False
        for memory, counted in self._counted.items():
            counted.start(sizes[memory])
        for memory, watch in self._storage.items():
            watch.start(sizes[memory])

    def begin(self, start: int, count: int) -> None:
        """Begin a block of lanes."""
        if self._open:
            self._end_block()
        self._open = True
        self.start, self._count, self._numbers = start, count, None
        self.groups = -(-count // self.size)
        for one in self._storage.values():
            one.begin()
        for watch in self._workgroup.values():
            watch.begin()

    @property
    def numbers(self) -> Values:
        """The number of each lane plus one."""
        if self._numbers is None:
            self._numbers = _pattern(self._count) + np.int32(self.start)
        return self._numbers

    def _end_block(self) -> None:
        for watch in self._workgroup.values():
            watch.end()

    def finish(self) -> bool:
        """End a dispatch.  Returns whether there are races."""
        if self._open:
            self._end_block()
        for one in self._storage.values():
            one.end()
        met = [watch.met() for watch in self._counted.values()]
        self.raced = self.raced or any(met)
        return self.raced

    def wait(self, site: int, lanes: Values) -> None:
        """A barrier that ``lanes`` come to; None stands for all lanes of the block."""
        groups = None
        if lanes is not None and len(lanes) != self._count:
            counts = np.bincount(lanes // self.size, minlength=self.groups)
            groups = counts > 0
            if np.any(groups & (counts < self.size)):
                self._missed(site, lanes, groups)
        spaces: dict[str, dict[Any, Any]] = {
            "storage": self._storage,
            "workgroup": self._workgroup,
        }
        for watch in spaces.get(self._sites[site].name, {}).values():
            watch.barrier(groups)

    def _missed(self, site: int, lanes: Values, groups: Values) -> None:
        if self._desk is not None:
            absent = np.repeat(groups, self.size)[: self._count]
            absent[lanes] = False
            partly = np.bincount(np.flatnonzero(absent) // self.size, minlength=self.groups) > 0
            here = lanes[partly[lanes // self.size]]
            self._desk.missed(site, self._tokens(here), self._tokens(absent))

    def _tokens(self, lanes: Any) -> Values:
        return tokens_of(self.numbers[lanes], self.size)

    def row(self, site: int, first: int, shift: int, count: int, limit: int) -> None:
        """Check the indices ``lane + shift`` (modulo 2^32) of ``count`` lanes from ``first`` on."""
        index = (np.arange(first, first + count) + shift) % _WRAP
        self.bound(site, index, limit, np.arange(first - self.start, first - self.start + count))

    def bound(self, site: int, index: Values, limit: int, lanes: Values) -> None:
        """Check indices: each must be at least 0 and less than ``limit``."""
        outside = (index < 0) | (index >= limit)
        if not np.any(outside):
            return
        if self._desk is not None:
            tokens = self._tokens(slice(None) if lanes is None else lanes)
            index, outside = (np.broadcast_to(each, tokens.shape) for each in (index, outside))
            self._desk.outside(site, index[outside], limit, tokens[outside])

    def doubt(self, site: int, operands: tuple[Values, ...], result: Values, lanes: Values) -> None:
        """Check arithmetic."""
        about = self._sites[site]
        bad = doubtful(about.how, about.name, list(operands), result, about.kinds[-1])
        if not np.any(bad):
            return
        if self._desk is not None:
            tokens = self._tokens(slice(None) if lanes is None else lanes)
            wide = [np.broadcast_to(each, tokens.shape) for each in (bad, result, *operands)]
            bad, result, *rest = wide
            self._desk.doubted(site, [each[bad] for each in rest], result[bad], tokens[bad])

    def clash(self, name: str, found: Clash) -> None:
        """Note that there is a race; in the detailed form, pass it to the desk."""
        self.raced = True
        if self._detailed and self._desk is not None:
            self._desk.clash(name, found)

    def unwritten(self, site: int, words: Values, numbers: Values) -> None:
        """Pass to the desk reads of words that nobody wrote."""
        if self._desk is not None:
            self._desk.unwritten(site, words, tokens_of(numbers, self.size))
