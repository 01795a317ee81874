"""Watches: what a run notes of one memory, and what it compares.

Accesses are logged as arrays.  They are compared at a barrier, at the end of a block or dispatch,
or when the log is too long.  Nothing orders the accesses between two barriers, so they can be
compared in any order: writes come first.  The plain form of a shader (``writer.py``) only asks
whether two invocations met at a word that one of them writes; for this, one owner for each word is
enough.  Otherwise shadow words are used: to find out which accesses met, for atomics, for a log
that grows too long, and when only some workgroups come to a barrier.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from gpusim.wgsl.checks.nodes import ATOMIC, READ, WRITE, Site
from gpusim.wgsl.checks.shadow import GROUP_BITS, SITE_BITS, Clash, Shadow
from gpusim.wgsl.checks.watch import Block, Entry, Watch

MOST_LOGGED = 1 << 22
"""If more accesses than this are logged, they are compared at once."""
Values = Any
_FIRST = {WRITE: 0, ATOMIC: 1, READ: 2}


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
        self._is_used = False
        """Whether the shadow has noted any access since it was last cleared."""

    def note(self, site: int, where: Values, lanes: Values, values: Any = ()) -> None:
        """Log an access."""
        numbers = self._block.numbers if lanes is None else self._block.numbers[lanes]
        # A value may be a view of memory, which may change before the log is compared.
        values = tuple(np.array(each) for each in values)
        self._log.append(Entry(self._sites[site], where, numbers, values))
        self._logged += len(numbers)
        if self._logged > MOST_LOGGED:
            self.flush(kept=True)

    def take_log(self) -> list[Entry]:
        """Empty the log.  Returns its accesses, writes first."""
        log, self._log, self._logged = self._log, [], 0
        return sorted(log, key=lambda each: _FIRST[each.site.how])

    def flush(self, *, kept: bool) -> None:
        """Compare the logged accesses; ``kept``: whether a later access may conflict with these."""
        log = self.take_log()
        if not log:
            return
        if not kept and not self._is_used and not self._keeps_values and _is_plain(log):
            if self._screened(log):
                self._block.raced = True
            return
        self._is_used = True
        for entry in log:
            self._compare_entry(entry, kept)

    def _screened(self, log: list[Entry]) -> bool:
        """Whether two invocations in the log met at a word that one of them writes.

        This is enough if no access outside of the log can conflict with one in it.  Each written
        word has an owner, one of the invocations that write it.  If another invocation writes or
        reads the word, the two met.
        """
        # The words are found anew in each pass, since keeping them would touch more memory.
        log = [*_distinct(log)]
        writes = [entry for entry in log if entry.site.how == WRITE]
        if not writes:
            return False
        owners, met = self.owners(), False
        for entry in writes:
            for _, words, numbers, _ in self._placed_words(entry):
                owners[words] = numbers
        for entry in log:
            is_write = entry.site.how == WRITE
            for _, words, numbers, _ in self._placed_words(entry):
                owner = owners.take(words, mode="clip")
                other = (owner != numbers) if is_write else _of_another(owner, numbers)
                met = met or bool(other.any())
        for entry in writes:
            for _, words, _, _ in self._placed_words(entry):
                owners[words] = 0
        return met

    def owners(self) -> Values:
        """An array of zeros that is to hold, for each word, the number of the lane that owns it."""
        raise NotImplementedError

    def _placed_words(self, entry: Entry) -> Iterator[tuple[int, Values, Values, Values]]:
        """Yields (scalar, words, numbers, mask) for each word that an access has in every lane.

        ``scalar`` is the number, in the access, of the scalar to which the word belongs.  ``words``
        has each lane's word of the shadow, and ``numbers`` each lane's number plus one.  Both leave
        out the lanes whose word lies outside of the memory.  ``mask`` tells which lanes of the
        access are left; it is None if all are.
        """
        where = entry.where
        if isinstance(where, int):
            where = np.full(len(entry.numbers), where, np.intp)
        for offset, number in self.offsets(entry.site):
            words, inside = self.words(where, offset)
            numbers = entry.numbers
            if inside is not None:
                words, numbers = words[inside], numbers[inside]
            placed = self.placed(words, numbers).astype(np.intp, copy=False)
            yield number, placed, numbers, inside

    def _compare_entry(self, entry: Entry, kept: bool) -> None:
        for number, words, numbers, inside in self._placed_words(entry):
            values = _bits(entry.values, number, len(entry.numbers))
            if values is not None and inside is not None:
                values = values[inside]
            tokens = tokens_of(numbers, self._block.size) | entry.site.number
            self.compare(entry.site.how, words, tokens, values, kept)

    def placed(self, words: Values, numbers: Values) -> Values:
        """Words of the memory, as words of the shadow."""
        return words

    def compare(self, how: str, words: Values, tokens: Values, values: Any, kept: bool) -> None:
        """Compare accesses with the shadow."""
        assert self._inner is not None
        for found in self._inner.access(how, words, tokens, values, kept=kept):
            self._block.clash(self.name, found)


class StorageWatch(ExactWatch):
    """Watches over a binding; its shadow lasts for a dispatch."""

    waits = False
    """Whether barriers of the shader order storage."""

    def start(self, size_bytes: int) -> None:
        """A new dispatch over a binding of so many bytes."""
        units = size_bytes // self._unit
        if units != self.units:
            self.units, self._owners = units, np.zeros(units, np.int32)
        self._log, self._logged, self._is_used = [], 0, False
        self._inner = Shadow(units, keeps_values=self._keeps_values)
        self._outer = Shadow(units, shift=GROUP_BITS, keeps_values=self._keeps_values)
        self._since: list[tuple[Values, Values]] = []

    def owners(self) -> Values:
        """A zero for each word of the binding."""
        return self._owners

    def compare(self, how: str, words: Values, tokens: Values, values: Any, kept: bool) -> None:
        """Compare accesses with those of other workgroups, and with those of the same workgroup.

        If barriers order storage, accesses of the same workgroup before its last barrier are left
        out.
        """
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
        """Forget the accesses of ``groups``, the workgroups at the barrier; None stands for all."""
        self.flush(kept=True)
        assert self._inner is not None
        since, self._since = self._since, []
        first = self._block.start // self._block.size + 1
        for words, tokens in since:
            if groups is None:
                self._inner.forget(words)
                continue
            there = groups[(tokens >> GROUP_BITS) - first]
            self._inner.forget(words[there])
            self._since.append((words[~there], tokens[~there]))

    def begin(self) -> None:
        """A new block, with other workgroups."""
        if self.waits:
            self.barrier(None)

    def end(self) -> None:
        """The end of a dispatch."""
        self.flush(kept=self.waits)


class WorkgroupWatch(ExactWatch):
    """Watches over workgroup memory, and notes which words are written.

    The shadow and these notes last for a block of lanes.
    """

    partial = False
    """Whether some word may still be unwritten, though the shader reads this memory."""
    fills = False
    """Whether the shader reads this memory, so that its written words must be noted."""

    def begin(self) -> None:
        """A new block, with memories of its own."""
        self._size = self.units * self._block.groups
        self._inner, self._is_used = Shadow(self._size, keeps_values=self._keeps_values), False
        self._log, self._logged = [], 0
        self._owners: Values = None
        self._written: Values = None
        self.partial, self._dirty = self.fills, False

    def end(self) -> None:
        """The end of a block."""
        self.flush(kept=False)

    def owners(self) -> Values:
        """A zero for each word of the block's memories."""
        if self._owners is None:
            self._owners = np.zeros(self._size, np.int32)
        return self._owners

    def placed(self, words: Values, numbers: Values) -> Values:
        """Words of the shadow, where the memories of the workgroups lie one after another."""
        group = (numbers - (self._block.start + 1)) // self._block.size
        return words + group * np.int32(self.units)

    def barrier(self, groups: Values) -> None:
        """Forget the accesses of ``groups``, the workgroups at the barrier; None stands for all.

        Then see whether all words are written by now.
        """
        self.flush(kept=groups is not None)
        if self._is_used and self._inner is not None:
            if groups is None:
                self._inner.forget()
                self._is_used = False
            else:
                self._inner.forget(np.flatnonzero(np.repeat(groups, self.units)))
        if self.partial and self._dirty:
            self.partial, self._dirty = not self._written.all(), False

    def fill(self, site: int, where: Values, lanes: Values) -> None:
        """Note that words are written."""
        written = self._written_words()
        for _, words, _, _ in self._placed_words(self._entry(site, where, lanes)):
            written[words] = True
        self._dirty = True

    def ask(self, site: int, where: Values, lanes: Values) -> None:
        """Report reads of words that nobody wrote."""
        written = self._written_words()
        for _, words, numbers, _ in self._placed_words(self._entry(site, where, lanes)):
            missing = ~written[words]
            if missing.any():
                self._block.unwritten(site, words[missing] % self.units, numbers[missing])

    def _entry(self, site: int, where: Values, lanes: Values) -> Entry:
        numbers = self._block.numbers if lanes is None else self._block.numbers[lanes]
        return Entry(self._sites[site], where, numbers, ())

    def _written_words(self) -> Values:
        if self._written is None:
            self._written = np.zeros(self._size, np.bool_)
        return self._written


def tokens_of(numbers: Values, size: int) -> Values:
    """The tokens (``shadow.py``) of lanes, with no site in them yet.

    ``numbers``: the number of each lane plus one.  ``size``: the invocations of a workgroup.
    """
    lanes = numbers.astype(np.int64) - 1
    return ((lanes // size + 1) << GROUP_BITS) | ((lanes % size) << SITE_BITS)


def _distinct(log: list[Entry]) -> Iterable[Entry]:
    """Leaves out each access to words that the same lanes access earlier in the log.

    Writes stand first in the log, so a write is kept if there is one.  All accesses at one index
    share one array, which nothing changes, so the same array means the same words.
    """
    first: dict[tuple[object, ...], Entry] = {}
    for each in log:
        first.setdefault(
            (id(each.where), id(each.numbers), each.site.offsets, each.site.kinds), each
        )
    return first.values()


def _is_plain(log: list[Entry]) -> bool:
    return all(each.site.how != ATOMIC for each in log)


def _of_another(owner: Values, numbers: Values) -> Values:
    return (owner != 0) & (owner != numbers)


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
