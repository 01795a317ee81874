"""Explains a failing case: gathers what is known of it into one argument.

The meaning of the program shows which op went wrong, and a trace shows when.  ``again`` runs the
case with other data and settings; without ``again`` only the given execution is looked at.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from properties.explain.accused import tell_accused
from properties.explain.argument import NONE_BROKEN, Argument
from properties.explain.by_bytes import by_bytes, is_accepted
from properties.explain.capacity import tell_batches, tell_capacity, tell_upload
from properties.explain.carried import tell_carried
from properties.explain.clocks import Traced, read_clocks
from properties.explain.conflicts import tell_conflicts
from properties.explain.counted import tell_counts, tell_kept, tell_wasted
from properties.explain.elsewhere import explain_rewrite, tell_alone, tell_elsewhere, tell_shown
from properties.explain.encoders import tell_encoded, tell_like_batch
from properties.explain.experiments import (
    Judge,
    Others,
    boundaries,
    settings,
    shown_by,
    with_other_data,
)
from properties.explain.extent import tell_extent
from properties.explain.faults import tell_faults, tell_taken_along, tell_zeros
from properties.explain.hops import (
    tell_again,
    tell_bytes,
    tell_leak,
    tell_life,
    tell_order,
    tell_waiting,
)
from properties.explain.hypothesis import Hypothesis
from properties.explain.indirect import (
    tell_forms,
    tell_full,
    tell_grid,
    tell_groups,
    tell_whose_grid,
)
from properties.explain.kinds import UNEXPLAINED, argue_kind, refusal_of
from properties.explain.lengths import tell_copies, tell_lengths
from properties.explain.limits import tell_limits
from properties.explain.losses import tell_loss
from properties.explain.pairs import tell_pairs, tell_staged
from properties.explain.parts import tell_part
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
from properties.explain.reported import (
    tell_earlier,
    tell_last_call,
    tell_left,
    tell_reported,
)
from properties.explain.schedules import inevitable
from properties.explain.search import Shown, search
from properties.explain.settling import MAPS, tell_settling
from properties.explain.slots import (
    tell_destroyed,
    tell_gone,
    tell_grown,
    tell_offset,
    tell_pool,
    tell_sizes,
    tell_taken,
)
from properties.explain.staging import tell_staging
from properties.explain.starts import tell_starts
from properties.explain.together import tell_beside, tell_client
from properties.explain.told import Told
from properties.explain.trials import Evidence, Teller, Trials
from properties.explain.uses import tell_entries, tell_repeated, tell_taken_over, tell_uses
from properties.explain.variations import Varied, vary
from properties.explain.weighing import REFUTED, Tried, doubt, order
from properties.explain.when import tell_cut, tell_left_out
from properties.explain.within import tell_within
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.oracles.judge import Verdict, is_beside
from properties.oracles.laws.catalogue import LAWS, LawContext

_BY_SEARCH = (FailureKind.VALUE, FailureKind.ERROR)
_MOST_OTHERS, _MOST_SETTINGS = 2, 3
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


def explain(verdict: Verdict, again: Judge | None = None) -> Argument:
    """Why the case of ``verdict``, which must have a failure, fails.

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
    shown, traced = shown_by(verdict), _traced(verdict)
    argument = argue_kind(verdict, failure, traced.broken)
    if failure.kind is FailureKind.VALUE and again is not None:
        alone = tell_alone(shown.scene, Trials(execution.case, again))
        if alone.sentence:
            return replace(alone, later=argument.facts).added_to(argument)
    tried = Tried() if again is None else _try(verdict, failure, again)
    found = _searched(verdict, failure, shown, traced, tried)
    if _is_searched(failure, verdict):
        argument = by_bytes(argument, shown, failure, found, traced)
    argument = replace(
        _led_by_law(argument, traced.broken, is_found=bool(found)),
        first_broken=_first_broken(traced, argument),
    )
    argument = _by_accused(argument, verdict, traced, found)
    settling = tell_settling(verdict, failure, argument.sentence, again)
    if settling.sentence:
        # Another size or another byte changes the order of maps as well, and so tells nothing.
        tried = replace(tried, varied=Varied())
    evidence = Evidence(
        verdict=verdict,
        failure=failure,
        traced=traced,
        argument=settling.added_to(argument),
        argue=explain,
        best=found[0] if found else None,
        again=again,
    )
    argument = _by_trials(evidence)
    argument = replace(
        argument,
        events=tuple(execution.trace),
        reached=traced.reached,
        passes=tried.passes,
        fails=tried.varied.fails[:_MOST_OTHERS],
        free=tried.others.free,
        inevitable=_fault_told(tried, argument),
    )
    return replace(argument, clock=_clock(argument))


def _by_accused(
    argument: Argument, verdict: Verdict, traced: Traced, found: tuple[Hypothesis, ...]
) -> Argument:
    """The argument, with the command that no op asked for as its cause if that says more."""
    execution, best = verdict.execution, found[0] if found else None
    if argument.failure.kind not in (FailureKind.VALUE, FailureKind.LAW):
        return argument
    most = execution.limits.max_groups_per_dimension
    told = tell_accused(traced.accused, execution.case.program, best, most)
    # When the ops of a mistake took effect counts only if that mistake is told of.
    later = () if argument.crossing is not None else argument.facts
    return replace(told, later=later).added_to(argument) if told.sentence else argument


def _searched(
    verdict: Verdict, failure: Failure, shown: Shown, traced: Traced, tried: Tried
) -> tuple[Hypothesis, ...]:
    """The mistakes that explain the bytes, the likeliest first; none if the trace refutes it."""
    if not _is_searched(failure, verdict):
        return ()
    answer = search(shown, failure.position, tried.others.shown, tried.others.whole)
    by = partial(order, traced=traced, tried=tried, votes=answer.votes)
    found = tuple(sorted(answer.found, key=by))
    is_refuted = bool(found) and doubt(found[0], traced) == REFUTED
    return () if is_refuted or is_accepted(verdict, failure, found) else found


def _by_trials(evidence: Evidence) -> Argument:
    """The argument, with the findings from calls, faults and trial programs added."""
    for tell in _FIRST:
        evidence = evidence.with_more(tell(evidence))
    for told in _looked_into(evidence):
        evidence = evidence.with_more(told)
    cut = tell_cut(evidence.verdict, evidence.argument.facts, evidence.again)
    evidence = evidence.with_more(cut)
    return tell_pairs(evidence).added_to(evidence.argument)


def _part(evidence: Evidence) -> Told:
    at, again = evidence.argument.culprit, evidence.again
    return tell_part(evidence.verdict, evidence.failure, evidence.kind, at, again)


_FIRST: tuple[Teller, ...] = (
    tell_uses,
    tell_entries,
    tell_poisoned,
    tell_taken_over,
    tell_conflicts,
    _part,
    tell_copies,
    tell_lengths,
    tell_grid,
    tell_forms,
    tell_whose_grid,
    tell_full,
    tell_groups,
)
"""Looks at the op that went wrong, each with what those before it found out."""


def _is_searched(failure: Failure, verdict: Verdict) -> bool:
    is_op = 0 <= failure.position < len(verdict.execution.case.program)
    return failure.kind in _BY_SEARCH and is_op and not is_beside(failure)


def _try(verdict: Verdict, failure: Failure, again: Judge) -> Tried:
    """Run the case in other ways."""
    case = verdict.execution.case
    others = (
        with_other_data(verdict, failure, again) if _is_searched(failure, verdict) else Others()
    )
    return Tried(
        others=others,
        boundaries=boundaries(case, failure.kind, again),
        inevitable=inevitable(verdict, failure, again),
        settings=tuple(islice(settings(case, again), _MOST_SETTINGS)),
        varied=vary(verdict, failure, again),
        has_run=True,
    )


def explain_unrun(case: Case, failure: Failure, passes: tuple[str, ...] = ()) -> Argument:
    """What a failure says by itself, for a case that cannot be run again in this process.

    ``passes``: the settings with which the case passed in other processes.
    """
    is_op = 0 <= failure.position < len(case.program)
    place = f"op {failure.position} ({failure.op})" if is_op else failure.op
    return Argument(
        failure=failure,
        case=case,
        sentence=": ".join(part for part in (place, failure.reason) if part),
        facts=failure.notes[:3],
        passes=passes,
        culprit=failure.position if is_op else -1,
    )


def _led_by_law(argument: Argument, broken: Failure | None, *, is_found: bool) -> Argument:
    """The argument with the first broken law as its cause, if no better cause is known."""
    if broken is None or broken.trait in _AFTERWARDS or is_found:
        return argument
    if argument.failure.kind not in _LED:
        return argument
    rule = next((law for law in LAWS if law.name == broken.trait), argument.rule)
    told = broken.notes[0] if broken.notes else broken.reason
    return replace(
        argument, sentence=f"{told}; so {argument.sentence.removesuffix(UNEXPLAINED)}", rule=rule
    )


def _looked_into(evidence: Evidence) -> Iterator[Told]:
    """Further findings from the trace, the faults and the history; later ones count more."""
    verdict, failure = evidence.verdict, evidence.failure
    traced, again = evidence.traced, evidence.again
    by_faults = tell_faults(verdict, failure, traced, again)
    yield by_faults
    if not by_faults.sentence:
        yield from _of_ops(evidence)
        yield from _of_calls(evidence)


def _of_ops(evidence: Evidence) -> Iterator[Told]:
    """What is found out about faults that were reported, and about reads and freed buffers."""
    verdict, failure, argument = evidence.verdict, evidence.failure, evidence.argument
    traced, again = evidence.traced, evidence.again
    yield tell_zeros(verdict, failure, traced, is_explained=UNEXPLAINED not in argument.sentence)
    yield tell_reported(verdict, failure, again)
    yield tell_loss(evidence)
    yield tell_left(verdict, failure)
    yield tell_awaited(evidence)
    yield tell_last_call(verdict, failure)
    yield tell_earlier(verdict, failure, again)
    yield tell_order(argument.crossing, traced)
    yield tell_extent(evidence)
    yield tell_bytes(verdict, failure, argument.culprit, traced, again)
    yield tell_destroyed(verdict, traced)
    yield tell_reads(evidence)
    yield tell_crowd(evidence)
    yield tell_named(evidence)
    yield tell_stale(evidence)
    yield tell_counts(evidence)
    yield tell_kept(evidence)
    yield tell_repeated(evidence)
    yield tell_left_out(verdict, failure, argument.sentence, traced)
    yield tell_freed(evidence)
    yield tell_back(evidence)
    yield tell_once_more(evidence)


def _of_calls(evidence: Evidence) -> Iterator[Told]:
    """What is found out about the calls on the device: payloads, pools, caches and batches."""
    verdict, failure, argument = evidence.verdict, evidence.failure, evidence.argument
    traced, again = evidence.traced, evidence.again
    yield tell_pool(verdict, traced)
    rule = argument.rule.name if argument.rule else ""
    yield tell_payloads(verdict, failure, rule, traced)
    yield tell_staged(evidence)
    yield tell_shown(evidence)
    yield tell_offset(verdict, failure, traced)
    if failure.kind in (FailureKind.ERROR, FailureKind.LATE_ERROR):
        yield tell_like_batch(verdict, refusal_of(failure))
    yield tell_grown(verdict, traced)
    yield tell_sizes(verdict, traced, again)
    yield tell_taken(verdict, traced, again)
    yield tell_batches(evidence)
    yield tell_gone(verdict, failure)
    yield tell_carried(verdict, failure, traced, again)
    yield tell_life(verdict, traced, again)
    if argument.rule is not MAPS:
        yield tell_whose(evidence)
    yield tell_within(verdict, failure, traced, again)
    yield tell_leak(verdict, failure, traced)
    yield tell_waiting(verdict, failure)
    yield tell_again(verdict, failure, again)
    yield tell_limits(verdict, failure, refusal_of(failure), again)
    yield tell_capacity(evidence)
    yield tell_freed_early(evidence)
    yield tell_upload(evidence)
    yield tell_staging(evidence)
    yield tell_starts(verdict, failure, again)
    yield tell_wasted(evidence)
    yield tell_encoded(verdict, failure, traced, again)
    yield tell_elsewhere(evidence)
    yield tell_taken_along(verdict, traced)
    if verdict.execution.beside is not None:
        yield tell_beside(verdict, failure)
    else:
        is_read = argument.culprit == failure.position and bool(argument.bytes)
        yield tell_client(verdict, argument.bytes[0].writer if is_read else argument.culprit)


def _traced(verdict: Verdict) -> Traced:
    execution = verdict.execution
    if not execution.is_lawful:
        return Traced()
    return read_clocks(execution.trace, LawContext.of(execution))


def _first_broken(traced: Traced, argument: Argument) -> str:
    if not traced.is_known or argument.failure.kind is FailureKind.LAW:
        return ""
    if traced.broken is None:
        if argument.failure.kind not in _HAS_BYTES:
            return ""
        return NONE_BROKEN
    broken = traced.broken
    told = broken.notes[0] if broken.notes else broken.reason
    return f"{broken.trait} is broken first, at call {traced.broken_at}: {told}"


def _clock(argument: Argument) -> str:
    rule = argument.rule
    if argument.lost:
        gone = [each for each in argument.reached if each.position in argument.lost]
        never = bool(gone) and all(each.submitted < 0 for each in gone)
        return _CLOCKS["recorded"] if never else ""
    return _CLOCKS.get(_CLOCK_OF.get(rule.name, ""), "") if rule is not None else ""


def _fault_told(tried: Tried, argument: Argument) -> str:
    """From when on the case can only fail, and the failed call if the argument names it."""
    fault = next((fact for fact in argument.facts if fact.startswith("the call ")), "")
    is_planned = len(argument.case.device.faults) > 0
    once = f"once {fault.partition(', and')[0].partition('; the batch')[0]}"
    told = once if fault and is_planned else ""
    return "; ".join(filter(None, (told, tried.inevitable)))
