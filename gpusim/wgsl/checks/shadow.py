"""Shadow words: for each word of a memory, enough of its accesses to find any race.

A token is an invocation and a site.  Bits 0 to 15 are the site, bits 16 to 31 are the invocation's
number in its workgroup, and the bits from 32 on are the number of the workgroup plus one.  Of each
kind of access a word keeps two tokens, of different invocations.  One would not be enough: an
invocation may read a word that another has read, and then write the word.  If its own read had
replaced the other's, the write would conflict with nothing.
Nothing here knows barriers: the user of a shadow must forget the accesses that a barrier orders.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE

SITE_BITS, GROUP_BITS = 16, 32
_CONFLICTS = {READ: (WRITE, ATOMIC), WRITE: (WRITE, READ, ATOMIC), ATOMIC: (WRITE, READ)}
Values = Any


@dataclass(frozen=True, slots=True, eq=False)
class Clash:
    """Accesses that conflict with earlier ones: arrays with an element for each pair."""

    words: Values
    tokens: Values
    others: Values
    values: Values = None
    other_values: Values = None


class Slots:
    """Two tokens for each word, which differ in the bits from ``shift`` on.

    These bits are the invocation, or the workgroup alone.
    """

    def __init__(self, size: int, shift: int, *, keeps_values: bool) -> None:
        self._shift = shift
        self._last = np.zeros(size, np.int64)
        self._other: Values = None
        self._values = np.zeros((2, size), np.uint32) if keeps_values else None
        self._empty = True

    def clear(self, words: Any) -> None:
        """Forget the accesses to words, which are a slice or an array of positions."""
        if not self._empty:
            self._last[words] = 0
            if self._other is not None:
                self._other[words] = 0
            self._empty = isinstance(words, slice) and words == slice(None)

    def clashes(self, words: Values, tokens: Values, values: Values) -> list[Clash]:
        """The accesses that conflict with what was noted."""
        if self._empty:
            return []
        found = []
        for row, slot in enumerate((self._last, self._other)):
            if slot is None:
                continue
            before = slot[words]
            bad = (before != 0) & ((before ^ tokens) >> self._shift != 0)
            if bad.any():
                found.append(_clash(words, tokens, before, bad, values, self._row(row, words[bad])))
        return found

    def note(self, words: Values, tokens: Values, values: Values) -> list[Clash]:
        """Note accesses.  Returns those that conflict among themselves."""
        if not self._empty:
            before = self._last[words]
            replaced = (before != 0) & ((before ^ tokens) >> self._shift != 0)
            if replaced.any():
                self._keep(words[replaced], before[replaced], self._row(0, words[replaced]))
        self._empty = False
        self._last[words] = tokens
        if self._values is not None and values is not None:
            self._values[0][words] = values
        now = self._last[words]
        lost = (now ^ tokens) >> self._shift != 0
        if not lost.any():
            return []
        mine = None if values is None else values[lost]
        self._keep(words[lost], tokens[lost], mine)
        return [_clash(words, tokens, now, lost, values, self._row(0, words[lost]))]

    def _row(self, row: int, words: Values) -> Values:
        return None if self._values is None else self._values[row][words]

    def _keep(self, words: Values, tokens: Values, values: Values) -> None:
        if self._other is None:
            self._other = np.zeros_like(self._last)
        self._other[words] = tokens
        if self._values is not None and values is not None:
            self._values[1][words] = values


def _clash(
    words: Values, tokens: Values, others: Values, bad: Values, values: Values, kept: Values
) -> Clash:
    mine = None if values is None else values[bad]
    return Clash(words[bad], tokens[bad], others[bad], mine, kept)


class Shadow:
    """The shadow words of one memory."""

    def __init__(self, size: int, *, shift: int = SITE_BITS, keeps_values: bool = False) -> None:
        self._size, self._shift, self._keeps_values = size, shift, keeps_values
        self._slots: dict[str, Slots] = {}

    def access(
        self, how: str, words: Values, tokens: Values, values: Values = None, *, kept: bool = True
    ) -> list[Clash]:
        """Note accesses to words; returns those that conflict with earlier ones or each other.

        ``kept``: whether an access that comes later may conflict with these.
        """
        found: list[Clash] = []
        for each in _CONFLICTS[how]:
            if each in self._slots:
                found += self._slots[each].clashes(words, tokens, values)
        if kept or how == WRITE:
            slots = self._slots.get(how)
            if slots is None:
                slots = Slots(self._size, self._shift, keeps_values=self._keeps_values)
                self._slots[how] = slots
            beside = slots.note(words, tokens, values)
            found += beside if how == WRITE else []
        return found

    def forget(self, words: Any = slice(None)) -> None:
        """Forget what was done to words: all, a slice, or positions."""
        for slots in self._slots.values():
            slots.clear(words)
