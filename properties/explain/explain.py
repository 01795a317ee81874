"""Explains a failing case: gathers what is known of it into one argument.

The meaning of the program shows which op went wrong, and a trace shows when.  ``explain`` can be
given a function that runs cases; then the case runs again with other data and settings.  The files
beside this one each look at a case in their own way; this one calls them, in a fixed order.
"""

from dataclasses import replace
from functools import partial
from itertools import islice

from gpusim.ops import Sync
from properties.explain.accused import tell_accused
from properties.explain.argument import NONE_BROKEN, Argument
from properties.explain.batches import (
    tell_encoded,
    tell_like_batch,
    tell_order,
    tell_waiting,
    tell_within,
)
from properties.explain.capacity import tell_batches, tell_capacity, tell_upload
from properties.explain.carried import tell_carried, tell_cut, tell_left_out
from properties.explain.clocks import Traced, read_clocks
from properties.explain.conflicts import tell_conflicts
from properties.explain.counted import tell_counts, tell_kept, tell_wasted
from properties.explain.elsewhere import explain_rewrite, tell_alone, tell_elsewhere, tell_shown
from properties.explain.experiments import (
    Others,
    boundaries,
    last_needed,
    settings,
    shown_by,
    with_other_data,
)
from properties.explain.faults import tell_faults, tell_taken_along, tell_zeros
from properties.explain.grids import (
    tell_forms,
    tell_full,
    tell_grid,
    tell_groups,
    tell_whose_grid,
)
from properties.explain.hypothesis import Hypothesis
from properties.explain.kinds import UNEXPLAINED, tell_kind
from properties.explain.lengths import tell_copies, tell_extent, tell_lengths
from properties.explain.limits import tell_limits, tell_part
from properties.explain.lives import tell_again, tell_gone, tell_leak, tell_life, tell_starts
from properties.explain.losses import tell_loss
from properties.explain.pages import tell_bytes, tell_destroyed, tell_page, tell_taken
from properties.explain.pairs import tell_pairs, tell_staged
from properties.explain.payloads import tell_payloads
from properties.explain.reads import tell_awaited, tell_crowd, tell_reads, tell_stale, tell_whose
from properties.explain.refused import (
    tell_back,
    tell_freed,
    tell_freed_early,
    tell_named,
    tell_once_more,
    tell_poisoned,
)
from properties.explain.reported import tell_earlier, tell_last_call, tell_left, tell_reported
from properties.explain.schedules import inevitable
from properties.explain.search import Shown, search
from properties.explain.settling import tell_settling
from properties.explain.slots import tell_grown, tell_offset, tell_pool, tell_sizes
from properties.explain.staging import tell_staging
from properties.explain.together import tell_together
from properties.explain.told import told
from properties.explain.trials import Evidence, Judge, Teller, Trials
from properties.explain.uses import tell_entries, tell_repeated, tell_taken_over
from properties.explain.variations import Varied, vary
from properties.explain.weighing import REFUTED, Tried, doubt, order
from properties.explain.writers import by_bytes, is_accepted
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict, is_beside
from properties.oracles.laws.catalogue import LAWS

_BY_SEARCH = (FailureKind.VALUE, FailureKind.ERROR)
_MOST_OTHERS, _MOST_SETTINGS = 2, 3
PASSES_NOW = "run once more it passes, so it depends on what ran before it, or on chance"
_AFTERWARDS = ("F1", "F2", "G1")
"""Laws that are broken because the case fails, so that they are never the cause."""
_LED = (FailureKind.VALUE, FailureKind.LATE_ERROR, FailureKind.ERROR, FailureKind.CRASH)
_HAS_BYTES = (FailureKind.VALUE, FailureKind.LATE_ERROR, FailureKind.ERROR)
_REPEATED = (FailureKind.COST, FailureKind.GROWTH)
_CLOCKS = {
    "recorded": "recorded: the op was called, and stands in no batch that was submitted",
    "submitted": "submitted: what acts at once waits until the commands before it are submitted",
    "done": "done: bytes may be taken, and memory used again, only when the GPU has finished",
}
_CLOCK_OF = {
    **dict.fromkeys(("A1", "A2", "A3", "A4", "B2", "B3", "C1", "E6", "F4", "F6"), "submitted"),
    **dict.fromkeys(("D1", "D3", "D4", "D5", "D7"), "done"),
}
_OF_MISTAKES: tuple[Teller, ...] = (
    tell_entries,
    tell_poisoned,
    tell_taken_over,
    tell_conflicts,
    tell_part,
    tell_copies,
    tell_lengths,
    tell_grid,
    tell_forms,
    tell_whose_grid,
    tell_full,
    tell_groups,
)
"""Tellers that look closer at the mistake that explains the bytes.
The sentence of a later teller replaces that of an earlier one, and its facts come first.
"""
_OF_CALLS: tuple[Teller, ...] = (
    tell_zeros,
    tell_reported,
    tell_loss,
    tell_left,
    tell_awaited,
    tell_last_call,
    tell_earlier,
    tell_order,
    tell_extent,
    tell_bytes,
    tell_destroyed,
    tell_reads,
    tell_crowd,
    tell_named,
    tell_stale,
    tell_counts,
    tell_kept,
    tell_repeated,
    tell_left_out,
    tell_freed,
    tell_back,
    tell_once_more,
    tell_pool,
    tell_payloads,
    tell_staged,
    tell_shown,
    tell_offset,
    tell_like_batch,
    tell_grown,
    tell_sizes,
    tell_taken,
    tell_batches,
    tell_gone,
    tell_carried,
    tell_page,
    tell_life,
    tell_whose,
    tell_within,
    tell_leak,
    tell_waiting,
    tell_again,
    tell_limits,
    tell_capacity,
    tell_freed_early,
    tell_upload,
    tell_staging,
    tell_starts,
    tell_wasted,
    tell_encoded,
    tell_elsewhere,
    tell_taken_along,
    tell_together,
)
"""Tellers that look at calls, faults and the history; asked unless a planned fault explains all."""
_LAST: tuple[Teller, ...] = (tell_cut, tell_pairs)
"""Tellers that look closer at what the others told."""


def explain(verdict: Verdict, again: Judge | None = None) -> Argument:
    """Why the case of ``verdict``, which must have a failure, fails.

    ``again`` runs a case; None if nothing may be run, and then only the verdict is looked at.

    Raises:
        ValueError: the verdict has no failure.
    """
    failure, execution = verdict.failure, verdict.execution
    if failure is None:
        raise ValueError("cannot explain a case that passes (probably another verdict is meant)")
    if failure.kind is FailureKind.RELATION and again is not None:
        behind = explain_rewrite(verdict, failure, again, partial(explain, again=again))
        if behind is not None:
            return behind
    if failure.kind in _REPEATED and again is not None and not again(execution.case).failure:
        # Costs and growth show only in many runs of one runtime, and each trial here is one run.
        again = None
    shown, traced = shown_by(verdict), read_clocks(execution)
    if _passes_now(verdict, failure, traced, again):
        return _unsure(verdict, failure, shown, traced)
    evidence = Evidence(
        verdict=verdict,
        failure=failure,
        traced=traced,
        argument=explain_unrun(execution.case, failure),
        argue=explain,
        again=again,
    )
    argument = tell_kind(evidence).added_to(evidence.argument)
    if failure.kind is FailureKind.VALUE and again is not None:
        alone = tell_alone(shown.scene, Trials(execution.case, again))
        if alone:
            return replace(alone, later=argument.facts).added_to(argument)
    tried = Tried() if again is None else _try(verdict, failure, again)
    found = _searched(verdict, failure, shown, traced, tried)
    if _is_searched(failure, verdict):
        argument = by_bytes(argument, shown, failure, found, traced, (*tried.others.without,))
    argument = _by_trace(argument, verdict, traced, found)
    evidence = replace(evidence, argument=argument, best=found[0] if found else None)
    settling = tell_settling(evidence)
    if settling:
        # The case fails only in some orders of maps.  A program with another size or byte may pass
        # because its maps settle in another order, and so tells nothing of the size or byte.
        tried = replace(tried, varied=Varied())
    evidence = replace(evidence, argument=_looked_into(evidence.with_more(settling)))
    if _passes_now(verdict, failure, traced, again):
        # The trials that passed may have passed for the same reason.
        tried, evidence = Tried(), evidence.with_more(told(PASSES_NOW))
    argument = replace(
        evidence.argument,
        events=tuple(execution.trace),
        reached=traced.reached,
        passes=tried.passes,
        fails=tried.varied.fails[:_MOST_OTHERS],
        free=tried.others.free,
    )
    return replace(argument, inevitable=_fault_told(tried, argument), clock=_clock(argument))


def _unsure(verdict: Verdict, failure: Failure, shown: Shown, traced: Traced) -> Argument:
    """The argument for a case that passes now: trials would not tell which mistake is the cause."""
    found = _searched(verdict, failure, shown, traced, Tried())
    others = tuple(each.sentence for each in found[:_MOST_OTHERS])
    argument = replace(explain_unrun(verdict.execution.case, failure), others=others)
    return told(PASSES_NOW).added_to(argument)


def _passes_now(verdict: Verdict, failure: Failure, traced: Traced, again: Judge | None) -> bool:
    """Whether a case that is explained by its bytes alone, without a trace, passes now."""
    if again is None or traced.is_known or not _is_searched(failure, verdict):
        return False
    return again(verdict.execution.case).failure is None


def explain_unrun(
    case: Case, failure: Failure, passes: tuple[str, ...] = (), facts: tuple[str, ...] = ()
) -> Argument:
    """What a failure says by itself, for a case that cannot be run again in this process.

    ``passes``: the settings with which the case passed in other processes.  ``facts``: what else
    was seen there.
    """
    is_op = 0 <= failure.position < len(case.program)
    place = f"op {failure.position} ({failure.op})" if is_op else failure.op
    return Argument(
        failure=failure,
        case=case,
        sentence=": ".join(part for part in (place, failure.reason) if part),
        facts=(*facts, *failure.notes[:3]),
        passes=passes,
        culprit=failure.position if is_op else -1,
    )


def _is_searched(failure: Failure, verdict: Verdict) -> bool:
    program, at = verdict.execution.case.program, failure.position
    if failure.kind not in _BY_SEARCH or not 0 <= at < len(program) or is_beside(failure):
        return False
    # A sync that fails and raised nothing did not report a refused op: no hypothesis tells of that.
    raised = verdict.execution.history.outcomes[at].error
    return raised is not None or not isinstance(program[at], Sync)


def _try(verdict: Verdict, failure: Failure, again: Judge) -> Tried:
    """Run the case in other ways."""
    case, is_searched = verdict.execution.case, _is_searched(failure, verdict)
    return Tried(
        others=with_other_data(verdict, failure, again) if is_searched else Others(),
        boundaries=boundaries(case, failure.kind, again),
        inevitable=inevitable(verdict, failure, again),
        settings=tuple(islice(settings(case, again), _MOST_SETTINGS)),
        varied=vary(verdict, failure, again),
        needs=last_needed(case, failure, again) if is_searched else -1,
        has_run=True,
    )


def _searched(
    verdict: Verdict, failure: Failure, shown: Shown, traced: Traced, tried: Tried
) -> tuple[Hypothesis, ...]:
    """The mistakes that explain the bytes, the likeliest first.

    Empty if the trace refutes the likeliest, or if it only says that an invalid op was accepted.
    """
    if not _is_searched(failure, verdict):
        return ()
    others = tried.others
    without = tuple(others.without.values())
    answer = search(shown, failure.position, others.shown, others.whole, without)
    by = partial(order, traced=traced, tried=tried, answer=answer)
    found = tuple(sorted(answer.found, key=by))
    is_refuted = bool(found) and doubt(found[0], traced) == REFUTED
    return () if is_refuted or is_accepted(verdict, failure, found) else found


def _by_trace(
    argument: Argument, verdict: Verdict, traced: Traced, found: tuple[Hypothesis, ...]
) -> Argument:
    """The argument with what the trace says of the first broken law, and of a wrong command."""
    execution, best = verdict.execution, found[0] if found else None
    argument = _led_by_law(argument, traced.broken, is_found=bool(found))
    argument = replace(argument, first_broken=_first_broken(traced, argument))
    if argument.failure.kind not in (FailureKind.VALUE, FailureKind.LAW):
        return argument
    most_groups = execution.limits.max_groups_per_dimension
    told = tell_accused(traced.accused, execution.case.program, best, most_groups)
    if not told.sentence:
        return argument
    # If the old sentence is about two ops in the wrong order, its facts are dropped with it.
    # Other facts stay, behind the new ones.
    later = () if argument.crossing is not None else argument.facts
    return replace(told, later=later).added_to(argument)


def _led_by_law(argument: Argument, broken: Failure | None, *, is_found: bool) -> Argument:
    """The argument with the first broken law as its cause, if no better cause is known."""
    if broken is None or broken.trait in _AFTERWARDS or is_found:
        return argument
    if argument.failure.kind not in _LED:
        return argument
    rule = next((law for law in LAWS if law.name == broken.trait), argument.rule)
    sentence = f"{broken.said}; so {argument.sentence.removesuffix(UNEXPLAINED)}"
    return replace(argument, sentence=sentence, rule=rule)


def _first_broken(traced: Traced, argument: Argument) -> str:
    if not traced.is_known or argument.failure.kind is FailureKind.LAW:
        return ""
    if traced.broken is None:
        return NONE_BROKEN if argument.failure.kind in _HAS_BYTES else ""
    broken = traced.broken
    return f"{broken.trait} is broken first, at call {traced.broken_at}: {broken.said}"


def _looked_into(evidence: Evidence) -> Argument:
    """The argument, with all that the tellers found out added."""
    for tell in _OF_MISTAKES:
        evidence = evidence.with_more(tell(evidence))
    by_faults = tell_faults(evidence)
    evidence = evidence.with_more(by_faults)
    for tell in (*(() if by_faults.sentence else _OF_CALLS), *_LAST):
        evidence = evidence.with_more(tell(evidence))
    return evidence.argument


def _fault_told(tried: Tried, argument: Argument) -> str:
    """From when on the case can only fail, and the failed call if the argument names it."""
    fault = next((fact for fact in argument.facts if fact.startswith("the call ")), "")
    is_planned = fault and len(argument.case.device.faults)
    once = f"once {fault.partition(', and')[0].partition('; the batch')[0]}" if is_planned else ""
    return "; ".join(filter(None, (once, tried.inevitable)))


def _clock(argument: Argument) -> str:
    rule = argument.rule
    if argument.lost:
        gone = [each for each in argument.reached if each.position in argument.lost]
        never = bool(gone) and all(each.submitted < 0 for each in gone)
        return _CLOCKS["recorded"] if never else ""
    return _CLOCKS.get(_CLOCK_OF.get(rule.name, ""), "") if rule is not None else ""
