"""The interface of a watch over one memory, and a watch that only counts.

The watches that compare accesses are in ``watches.py``.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpusim.wgsl.checks.nodes import Site
from gpusim.wgsl.checks.shadow import Clash

Values = Any


class Block(Protocol):
    """The lanes that run, and where clashes go."""

    size: int
    """The invocations of a workgroup."""
    groups: int
    """The workgroups of the block."""
    start: int
    """The number of the first lane."""
    raced: bool
    """Whether a race was found in this dispatch."""

    @property
    def numbers(self) -> Values:
        """The number of each lane plus one."""
        raise NotImplementedError

    def clash(self, name: str, found: Clash) -> None:
        """Take conflicting accesses to a memory."""
        raise NotImplementedError

    def unwritten(self, site: int, words: Values, numbers: Values) -> None:
        """Take reads of workgroup memory that nobody wrote."""
        raise NotImplementedError


@dataclass(slots=True, frozen=True)
class Entry:
    """One access by some lanes."""

    site: Site
    where: Values
    numbers: Values
    values: Any


class Watch:
    """What is noted of one memory, whose words have ``unit`` bytes."""

    def __init__(self, block: Block, sites: list[Site], name: str, unit: int) -> None:
        self._block, self._sites, self._unit = block, sites, unit
        self.name = name
        self.units = 0
        """The number of words: of a binding, or of the memory of one workgroup."""

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Note an access of ``lanes``; None stands for all lanes of the block."""
        raise NotImplementedError

    def words(self, where: Values, offset: int) -> tuple[Values, Values]:
        """The words of one scalar of an access, and the lanes whose words exist (None: all)."""
        words = where + offset // self._unit if offset else where
        if len(words) and int(words.max()) >= self.units:
            return words, words < self.units
        return words, None

    def offsets(self, site: Site) -> list[tuple[int, int]]:
        """The offset in bytes of each word of an access, with the number of the scalar in it."""
        found = []
        for number, (offset, kind) in enumerate(zip(site.offsets, site.kinds, strict=True)):
            found.append((offset, number))
            if self._unit == 2 and kind != "f16":
                found.append((offset + 2, number))
        return found


class CountedWatch(Watch):
    """Counts the writes to a memory that is only written, and the words that were written.

    If the two numbers are equal, no two writes met.
    """

    def __init__(self, block: Block, sites: list[Site], name: str, unit: int) -> None:
        super().__init__(block, sites, name, unit)
        self._marks = np.zeros(0, np.bool_)
        self._written: list[Values] = []
        self._count = 0

    def start(self, size_bytes: int) -> None:
        """A new dispatch over a binding of so many bytes."""
        units = size_bytes // self._unit
        if units != self.units:
            self.units, self._marks = units, np.zeros(units, np.bool_)
        elif self._written:
            self._clear()
        self._written = []
        self._count = 0

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Mark the words of an access."""
        block, about = self._block, self._sites[site]
        if isinstance(where, int):
            where = np.full(len(block.numbers if lanes is None else lanes), where, np.intp)
        for offset, _ in self.offsets(about):
            if isinstance(where, slice):
                shift = offset // self._unit
                row = slice(where.start + shift, min(where.stop + shift, self.units), where.step)
                self._marks[row] = True
                self._count += len(range(row.start, row.stop, row.step))
                self._written.append(row)
                continue
            words, inside = self.words(where, offset)
            words = (words if inside is None else words[inside]).astype(np.intp, copy=False)
            self._marks[words] = True
            self._count += len(words)
            self._written.append(words)

    def met(self) -> bool:
        """Whether a word was written twice, perhaps by one invocation; also clears the marks."""
        if 8 * self._count > self.units:
            met = self._count != int(np.count_nonzero(self._marks))
        elif self._written:
            words = np.concatenate([_positions(each) for each in self._written])
            met = len(np.unique(words)) != self._count
        else:
            met = False
        self._clear()
        return met

    def _clear(self) -> None:
        if 8 * self._count > self.units:
            self._marks[:] = False
        for words in self._written if 8 * self._count <= self.units else ():
            self._marks[words] = False
        self._written = []


def _positions(words: Values) -> Values:
    return np.r_[words] if isinstance(words, slice) else words
