"""Ranks mistakes that look the same: by the trace, by other data, and by what a flush cures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusim.ops import AnyDispatch
from properties.explain.clocks import Traced
from properties.explain.experiments import Boundary, Others
from properties.explain.hypothesis import Hypothesis, Key
from properties.explain.variations import Varied
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.order import NOT_MEANT, UNASKED

CROSSING = ("order", "early", "recycled")
_OF_ORDER = (*CROSSING, "cleared")
_MOST_TOLD, _MOST_PASSES = 2, 4
SURE, LIKELY, SILENT, REFUTED = range(4)
_ABSENT = ("omitted", "lost")
_OPERANDS = ("scalars", "buffers", "part", "kernel", "grid", "counts", "copy", "write")
_OTHER_THAN = re.compile(rf"was submitted for \w+ op (\d+)(?: command \d+)?, {NOT_MEANT}")
_OF_PAYLOADS = (laws.B1.name, laws.B2.name, laws.B3.name)
"""Laws that are broken only if a dispatch reads scalars that are not its own."""
_BY_SUBJECT = "BDE"
"""Letters of laws: a broken law supports a mistake whose rule has the same letter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What runs of the case in other ways showed."""

    others: Others = field(default_factory=Others)
    boundaries: tuple[Boundary, ...] = ()
    settings: tuple[str, ...] = ()
    varied: Varied = field(default_factory=Varied)
    inevitable: str = ""
    """The step from which on the case could only fail, in words."""
    needs: int = -1
    """The last op that the case needs to fail, if it stands after the failing op; else -1."""
    has_run: bool = False

    @property
    def passes(self) -> tuple[str, ...]:
        """The changes with which the case passes: some of each sort."""
        first = map(str, self.boundaries[:1])
        return (*self.varied.passes[:2], *first, *self.settings)[:_MOST_PASSES]


def order(
    found: Hypothesis, traced: Traced, tried: Tried, votes: Mapping[Key, int]
) -> tuple[int, int, int]:
    """A key that sorts mistakes that look the same, the likeliest first.

    The trace counts most, then how often each holds with other data, then what a flush cures.

    A flush between two ops cures mistakes in their order, and little else.  If the case passes
    without a later op, then the wrong order of these two ops does not explain why.
    """
    held = votes.get(found.key, 0)
    cured = 1
    if tried.has_run and found.kind in _OF_ORDER:
        is_cured = any(boundary.at == found.other for boundary in tried.boundaries)
        cured = 0 if is_cured else 1 if tried.boundaries else 2
        if tried.needs > max(found.culprit, found.other):
            cured = 2
    return doubt(found, traced), -held, cured


def doubt(found: Hypothesis, traced: Traced) -> int:
    """How much the trace speaks against a mistake, from SURE to REFUTED."""
    if not traced.is_known or traced.broken is None:
        # If no law is broken, the device may have made the mistake, and no call refutes that.
        return SILENT
    if traced.broken.trait in _OF_PAYLOADS and found.kind != "scalars":
        return REFUTED
    told = " ".join(traced.broken.notes)
    other_than = _OTHER_THAN.search(told)
    if found.kind in _ABSENT and (other_than or UNASKED in told):
        return REFUTED
    if found.kind in CROSSING:
        by_clocks = _doubt_by_clocks(found, traced)
        if by_clocks == REFUTED or traced.was_left_out(found.culprit):
            return max(by_clocks, SILENT)
    law, named_law = traced.broken.trait, found.rule.name
    if found.kind == "twice" and law == laws.C1.name and UNASKED not in told:
        # Had the command run twice, the law would have said that no op asked for the second.
        return SILENT
    if found.kind == "scalars" and traced.fed and not _was_fed(found, traced):
        return REFUTED
    if law == named_law and not (UNASKED in told and found.kind == "twice"):
        return SURE
    if other_than and found.kind in _OPERANDS:
        return LIKELY if int(other_than[1]) == found.culprit else REFUTED
    if UNASKED in told and found.kind in (*_OPERANDS, "replay"):
        return LIKELY
    if law[0] == named_law[0] and law[0] in _BY_SUBJECT:
        return LIKELY
    return _doubt_by_clocks(found, traced)


def _was_fed(found: Hypothesis, traced: Traced) -> bool:
    """Whether the slot of a dispatch held the scalars with which it runs under the mistake."""
    held = {(fed.position, fed.command): fed.values for fed in traced.fed}
    return any(
        held.get((step.position, step.command)) == step.op.scalars
        for step in found.steps
        if isinstance(step.op, AnyDispatch)
    )


def _doubt_by_clocks(found: Hypothesis, traced: Traced) -> int:
    one, other = traced.of(found.culprit), traced.of(found.other)
    if found.kind in CROSSING and one is not None and other is not None:
        if one.submitted == other.submitted >= 0 and _is_in_order(found, traced, one.submitted):
            return REFUTED
        if one.submitted < 0 or other.submitted < 0 or one.submitted == other.submitted:
            return SILENT
        return LIKELY if one.submitted > other.submitted else REFUTED
    if found.kind in _ABSENT and one is not None:
        command = int(found.detail.split()[0])
        return REFUTED if traced.was_submitted(found.culprit, command) else LIKELY
    return SILENT


def _is_in_order(found: Hypothesis, traced: Traced, submit: int) -> bool:
    """Whether ``submit`` carried out all of the earlier op before the later one."""
    positions = [position for position, _ in traced.submits.get(submit, ())]
    ours = [each for each in positions if each in (found.culprit, found.other)]
    return len({*ours}) > 1 and ours == sorted(ours)


def distinct(best: Hypothesis, rest: tuple[Hypothesis, ...], *, is_sure: bool) -> list[str]:
    """The sentences of the other mistakes that look the same: a few, one of each sort.

    If ``best`` is sure, this is only the likeliest other mistake of the same sort.  If ``best`` is
    sure and says that two ops changed places, this is empty.
    """
    if is_sure:
        near = [each.sentence for each in rest if _sort(each) == _sort(best)]
        return [] if best.kind in CROSSING else near[:1]
    seen = {_sort(best)}
    told = []
    for each in rest:
        # A command that runs once more after a write shows the same as one that runs late.
        is_same = each.kind == "twice" and (each.culprit, each.other) == (best.culprit, best.other)
        if _sort(each) not in seen and not is_same:
            seen.add(_sort(each))
            told.append(each.sentence)
    return told[:_MOST_TOLD]


def _sort(found: Hypothesis) -> tuple[str, int]:
    return "crossing" if found.kind in CROSSING else found.kind, found.culprit
