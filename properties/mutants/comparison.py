"""Mistakes in how two histories are held against each other."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gpusim.history import History, Outcome
from gpusim.ops import Read, Sync
from gpusim.program import Program
from properties.model.capabilities import Capabilities
from properties.model.failure import Failure
from properties.mutants.mutant import Mutant, mutant
from properties.oracles.compare import compare


def last_byte_unseen(meant: Outcome, shown: Outcome) -> Outcome:
    """The last byte of a read is not compared."""
    if meant.data and shown.data and len(meant.data) == len(shown.data) > 1:
        return replace(shown, data=shown.data[:-1] + meant.data[-1:])
    return shown


def shorter_is_enough(meant: Outcome, shown: Outcome) -> Outcome:
    """A read that is too short is compared as far as it goes."""
    if meant.data is not None and shown.data is not None:
        return replace(shown, data=shown.data + meant.data[len(shown.data) :])
    return shown


def any_error_will_do(meant: Outcome, shown: Outcome) -> Outcome:
    """Whatever error an op raised, it is the one that was meant."""
    return replace(shown, error=meant.error) if meant.error and shown.error else shown


def refusal_unseen(meant: Outcome, shown: Outcome) -> Outcome:
    """What is refused and should not be is not looked at any further."""
    return meant if shown.error is not None and meant.error is None else shown


def late_error_unseen(meant: Outcome, shown: Outcome) -> Outcome:
    """A read whose value changed, or never came, is compared by what it had."""
    return replace(shown, late_error=meant.late_error, data=shown.data or meant.data)


def high_bit_unseen(meant: Outcome, shown: Outcome) -> Outcome:
    """Bytes are compared as seven bits."""
    if meant.data is None or shown.data is None or len(meant.data) != len(shown.data):
        return shown
    pairs = zip(meant.data, shown.data, strict=True)
    return replace(shown, data=bytes((a & 128) | (b & 127) for a, b in pairs))


def long_reads_sampled(meant: Outcome, shown: Outcome) -> Outcome:
    """Of a read of more than 64 bytes only the first 64 are compared."""
    if meant.data is None or shown.data is None or len(meant.data) != len(shown.data):
        return shown
    return replace(shown, data=shown.data[:64] + meant.data[64:])


def deliveries_unseen(
    program: Program, expected: History, got: History, capabilities: Capabilities
) -> Failure | None:
    """The order of deliveries is not compared."""
    outcomes = tuple(
        meant if isinstance(op, Sync) and shown.error is None else shown
        for op, meant, shown in zip(program, expected.outcomes, got.outcomes, strict=True)
    )
    closing = expected.closing if got.closing and got.closing.error is None else got.closing
    seen = History(outcomes=outcomes, deliveries=expected.deliveries, closing=closing)
    return compare(program, expected, seen, capabilities)


def first_read_unseen(
    program: Program, expected: History, got: History, capabilities: Capabilities
) -> Failure | None:
    """Of the reads of a program the first is not compared."""
    first = next((n for n, op in enumerate(program) if isinstance(op, Read)), -1)
    outcomes = list(got.outcomes)
    if first >= 0:
        outcomes[first] = expected.outcomes[first]
    return compare(program, expected, replace(got, outcomes=tuple(outcomes)), capabilities)


def _blind(blind: Callable[[Outcome, Outcome], Outcome], **about: Any) -> Mutant:
    def compared(
        program: Program, expected: History, got: History, capabilities: Capabilities
    ) -> Failure | None:
        outcomes = tuple(map(blind, expected.outcomes, got.outcomes))
        return compare(program, expected, replace(got, outcomes=outcomes), capabilities)

    return mutant(blind, compare=compared, prey="corruption", **about)


MUTANTS = (
    _blind(last_byte_unseen, hard=True),
    _blind(shorter_is_enough),
    _blind(any_error_will_do),
    _blind(refusal_unseen),
    _blind(late_error_unseen),
    _blind(high_bit_unseen),
    _blind(long_reads_sampled),
    mutant(deliveries_unseen, compare=deliveries_unseen, prey="corruption"),
    mutant(first_read_unseen, compare=first_read_unseen, prey="corruption"),
)
