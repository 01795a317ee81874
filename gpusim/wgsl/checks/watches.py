"""Watches: what a run notes of one memory, and what it compares.

Accesses are logged as arrays, as the shader's Python makes them, and compared at barriers and at
the end of a block: writes first, since nothing orders the accesses of a phase.  A log that grows
long is compared earlier, so that memory is bounded.  Workgroup memory has shadow words for one
block; storage has them for a dispatch, a second shadow for workgroups where the shader has
barriers of storage.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE, Site
from gpusim.wgsl.checks.shadow import GROUP_BITS, Clash, Shadow

MOST_LOGGED = 1 << 21
"""Accesses that are logged before they are compared."""
Values = Any
_FIRST = {WRITE: 0, ATOMIC: 1, READ: 2}


class Block(Protocol):
    """The lanes that run, and where clashes go."""

    size: int
    """The invocations of a workgroup."""
    groups: int
    """The workgroups of the block."""
    tokens: Values
    """The token of each lane, without a site."""

    def clash(self, name: str, found: Clash) -> None:
        """Take conflicting accesses to a memory."""
        raise NotImplementedError

    def unwritten(self, site: int, words: Values, lanes: Values) -> None:
        """Take reads of workgroup memory that nobody wrote."""
        raise NotImplementedError


@dataclass(slots=True, frozen=True)
class Entry:
    """One access by some lanes."""

    site: Site
    where: Values
    lanes: Values
    tokens: Values
    values: Any


class Watch:
    """What is noted of one memory, whose words have ``unit`` bytes."""

    def __init__(self, block: Block, sites: list[Site], name: str, unit: int) -> None:
        self._block, self._sites, self._unit = block, sites, unit
        self.name = name
        self.units = 0
        """The words of the memory: of a workgroup's, or of a binding."""

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Note an access of lanes, all of the block if None."""
        raise NotImplementedError

    def words(self, entry_site: Site, where: Values, offset: int) -> tuple[Values, Values]:
        """The words of one scalar of an access, and which lanes' words exist; None for all."""
        words = where + offset // self._unit
        outside = words >= self.units
        return words, ~outside if np.any(outside) else None

    def offsets(self, site: Site) -> list[tuple[int, int]]:
        """The offsets of an access's words, and the number of each one's scalar."""
        found = []
        for number, (offset, kind) in enumerate(zip(site.offsets, site.kinds, strict=True)):
            found.append((offset, number))
            if self._unit == 2 and kind != "f16":
                found.append((offset + 2, number))
        return found

    def flush(self) -> None:
        """Compare what is logged."""

    def barrier(self, groups: Values) -> None:
        """A barrier of the block's workgroups ``groups``, a mask; all if None."""

    def begin(self) -> None:
        """A new block."""

    def end(self) -> None:
        """The end of a dispatch."""


class CountedWatch(Watch):
    """Words and writes of a memory that is only written: where they are as many, none met."""

    _last = -1

    def start(self, size_bytes: int) -> None:
        """A new dispatch over a binding of so many bytes."""
        if size_bytes // self._unit != self.units or self._last >= 0:
            self.units = size_bytes // self._unit
            self._marks = np.zeros(self.units, np.bool_)
        self._count, self._first, self._last = 0, self.units, -1

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Mark the words of an access."""
        block, about = self._block, self._sites[site]
        if isinstance(where, int):
            where = np.full(len(block.tokens if lanes is None else lanes), where, np.intp)
        for offset, _ in self.offsets(about):
            words, inside = self.words(about, where, offset)
            words = words if inside is None else words[inside]
            if len(words):
                self._marks[words] = True
                self._count += len(words)
                self._first = min(self._first, int(words.min()))
                self._last = max(self._last, int(words.max()))

    def met(self) -> bool:
        """Whether a word may have been written by two; the marks are gone then."""
        there = self._marks[self._first : self._last + 1]
        met = self._count != int(np.count_nonzero(there))
        there[:] = False
        self._last = -1
        return met


class ExactWatch(Watch):
    """A log of accesses, and shadow words to compare them with."""

    def __init__(
        self, block: Block, sites: list[Site], name: str, unit: int, *, keeps_values: bool
    ) -> None:
        super().__init__(block, sites, name, unit)
        self._keeps_values = keeps_values
        self._log: list[Entry] = []
        self._logged = 0
        self._inner: Shadow | None = None

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Log an access."""
        tokens = self._block.tokens if lanes is None else self._block.tokens[lanes]
        # A value may be a part of memory, which changes before the log is compared.
        values = tuple(np.array(each) for each in values)
        self._log.append(Entry(self._sites[site], where, lanes, tokens, values))
        self._logged += len(tokens)
        if self._logged > MOST_LOGGED:
            self.flush(kept=True)

    def flush(self, *, kept: bool = True) -> None:
        """Compare what is logged; ``kept`` where a later access may conflict with it."""
        log, self._log, self._logged = self._log, [], 0
        for entry in sorted(log, key=lambda each: _FIRST[each.site.how]):
            where = entry.where
            if isinstance(where, int):
                where = np.full(len(entry.tokens), where, np.intp)
            tokens = entry.tokens | entry.site.number
            for offset, number in self.offsets(entry.site):
                words, inside = self.words(entry.site, where, offset)
                values = _bits(entry.values, number, len(tokens))
                here = tokens
                if inside is not None:
                    words, here = words[inside], tokens[inside]
                    values = None if values is None else values[inside]
                words = self.placed(words, here).astype(np.intp, copy=False)
                self.compare(entry.site.how, words, here, values, kept)

    def placed(self, words: Values, tokens: Values) -> Values:
        """Words of the memory, as words of the shadow."""
        return words

    def compare(self, how: str, words: Values, tokens: Values, values: Any, kept: bool) -> None:
        """Compare accesses with the shadow."""
        assert self._inner is not None
        for found in self._inner.access(how, words, tokens, values, kept=kept):
            self._block.clash(self.name, found)


class StorageWatch(ExactWatch):
    """A binding, whose shadow lasts a dispatch."""

    waits = False
    """Whether barriers of the shader order storage."""

    def start(self, size_bytes: int) -> None:
        """A new dispatch over a binding of so many bytes."""
        self.units = units = size_bytes // self._unit
        self._inner = Shadow(units, keeps_values=self._keeps_values)
        self._outer = Shadow(units, shift=GROUP_BITS, keeps_values=self._keeps_values)
        self._since: list[tuple[Values, Values]] = []

    def compare(self, how: str, words: Values, tokens: Values, values: Any, kept: bool) -> None:
        """Compare accesses within workgroups since their barriers, and between workgroups."""
        if not self.waits:
            super().compare(how, words, tokens, values, kept)
            return
        assert self._inner is not None
        for found in self._outer.access(how, words, tokens, values):
            self._block.clash(self.name, found)
        for found in self._inner.access(how, words, tokens, values):
            same = (found.tokens ^ found.others) >> GROUP_BITS == 0
            if same.any():
                self._block.clash(self.name, _part(found, same))
        self._since.append((words, tokens))

    def barrier(self, groups: Values) -> None:
        """Forget what the workgroups did."""
        self.flush()
        assert self._inner is not None
        since, self._since = self._since, []
        first = int(self._block.tokens[0] >> GROUP_BITS)
        for words, tokens in since:
            if groups is None:
                self._inner.forget(words)
                continue
            there = groups[(tokens >> GROUP_BITS) - first]
            self._inner.forget(words[there])
            self._since.append((words[~there], tokens[~there]))

    def begin(self) -> None:
        """A new block, whose workgroups are others."""
        if self.waits:
            self.barrier(None)
        else:
            self.flush()

    def end(self) -> None:
        """The end of a dispatch."""
        self.begin()


class WorkgroupWatch(ExactWatch):
    """Workgroup memory, whose shadow lasts a block; and which of its words were written."""

    partial = False
    """Whether a word may be read that nobody wrote."""
    fills = False
    """Whether anything reads it."""

    def begin(self) -> None:
        """A new block, with memories of its own."""
        self.flush(kept=False)
        size = self.units * self._block.groups
        self._inner = Shadow(size, keeps_values=self._keeps_values)
        self._used = False
        if self.fills:
            self.partial, self._dirty = True, False
            self._written = np.zeros(size, np.bool_)

    def end(self) -> None:
        """The end of a dispatch."""
        self.flush(kept=False)

    def placed(self, words: Values, tokens: Values) -> Values:
        """Words of the shadow: each workgroup's behind the others'."""
        self._used = True
        first = int(self._block.tokens[0] >> GROUP_BITS)
        return words + ((tokens >> GROUP_BITS) - first) * self.units

    def barrier(self, groups: Values) -> None:
        """Forget what the workgroups did, and see whether all words are written."""
        self.flush(kept=groups is not None)
        if self._used and self._inner is not None:
            if groups is None:
                self._inner.forget()
                self._used = False
            else:
                self._inner.forget(np.flatnonzero(np.repeat(groups, self.units)))
        if self.partial and self._dirty:
            self.partial, self._dirty = not self._written.all(), False

    def fill(self, site: int, where: Values, lanes: Values) -> None:
        """Note that words are written."""
        for _, words in self._all_words(site, where, lanes):
            self._written[words] = True
        self._dirty = True

    def ask(self, site: int, where: Values, lanes: Values) -> None:
        """Tell of reads of words that nobody wrote."""
        for here, words in self._all_words(site, where, lanes):
            missing = ~self._written[words]
            if missing.any():
                self._block.unwritten(site, words[missing] % self.units, here[missing])

    def _all_words(self, site: int, where: Values, lanes: Values) -> Any:
        tokens = self._block.tokens if lanes is None else self._block.tokens[lanes]
        for offset, _ in self.offsets(self._sites[site]):
            words, inside = self.words(self._sites[site], where, offset)
            words, here = np.broadcast_arrays(words, tokens)
            if inside is not None:
                keep = np.broadcast_to(inside, tokens.shape)
                words, here = words[keep], here[keep]
            first = int(self._block.tokens[0] >> GROUP_BITS)
            yield here, words + ((here >> GROUP_BITS) - first) * self.units


def _part(found: Clash, chosen: Values) -> Clash:
    fields = (found.words, found.tokens, found.others, found.values, found.other_values)
    return Clash(*(None if each is None else each[chosen] for each in fields))


def _bits(values: Any, number: int, count: int) -> Values:
    """The bits of one scalar of an access, for each lane."""
    if not values:
        return None
    value = values[min(number, len(values) - 1)]
    made = np.asarray(value)
    if made.dtype.kind in "bi":
        made = (made.astype(np.int64) & 0xFFFFFFFF).astype(np.uint32)
    elif made.dtype.kind == "f":
        made = made.astype(np.float32) if made.dtype.itemsize != 2 else made
        made = made.view(np.uint32 if made.dtype.itemsize == 4 else np.uint16).astype(np.uint32)
    return np.broadcast_to(made, (count,)) if made.ndim == 0 else made
