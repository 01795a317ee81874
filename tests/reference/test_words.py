"""The words of refusals: what is named must be what the reference names, in its order."""

from dataclasses import replace

import pytest

from gpusim.history import History, Outcome, Raised
from gpusim.program import Program
from gpusim.runtime import PRESETS, WgpuDriver
from gpusim.simulated import open_device
from properties.execute import run as run_target
from properties.model.failure import FailureKind
from properties.oracles.words import judge_words
from properties.targets.runtime_target import RuntimeTarget
from reference import run

PROGRAM = Program.parse(
    "alloc a 16\nalloc b 8\nread a 12 8 -> r0\nalloc c -4\ncopy a 0 b 4 8\n"
    "dispatch affine a,a 1,1 1x1x1\ndispatch affine a 1,1 1x-1x1\n"
    "dispatch affine a[4:8] 1,1 1x1x1\n"
    "dispatch exchange a,a 3 1x1x1\nfree b\nread b 0 4 -> r1\ndispatch_indirect affine a 1,1 a 2\n"
)
READ, ALLOC, COPY, COUNT, GRID, PART, TWICE, FREED, PLACE = 2, 3, 4, 5, 6, 7, 8, 10, 11


@pytest.fixture(scope="module")
def shown() -> tuple[History, History]:
    target = RuntimeTarget(WgpuDriver(open_device()), PRESETS["ring"])
    got = run_target(PROGRAM, target)
    target.close()
    return run(PROGRAM, limits=target.limits), got


def told(shown: tuple[History, History], position: int, old: str, new: str) -> str:
    """The argument against a message that has ``new`` in the place of ``old``."""
    expected, got = shown
    outcomes = list(got.outcomes)
    raised = outcomes[position].raised
    assert raised is not None
    assert old in raised.message, raised.message
    message = raised.message.replace(old, new, 1)
    outcomes[position] = replace(outcomes[position], raised=Raised(message))
    failure = judge_words(PROGRAM, expected, replace(got, outcomes=tuple(outcomes)))
    if failure is None:
        return ""
    assert (failure.kind, failure.position) == (FailureKind.WORDS, position)
    return failure.reason


def test_what_the_runtime_says_is_what_the_reference_says(
    shown: tuple[History, History],
) -> None:
    assert [outcome.error for outcome in shown[1].outcomes].count(None) == 3
    assert judge_words(PROGRAM, *shown) is None


@pytest.mark.parametrize(
    ("position", "old", "new"),
    [
        (READ, "8 bytes", "16 bytes"),
        (READ, "8 bytes at offset 12", "12 bytes at offset 8"),
        (READ, "holds 16", "holds 15"),
        (ALLOC, "-4", "4"),
        (COPY, "holds 8", "holds 16"),
        (COUNT, "binds 1", "binds 2"),
        (GRID, "-1", "1"),
        (PART, "<a, 16 bytes>", "<b, 8 bytes>"),
        (PART, "bytes 4 to 7", "bytes 0 to 7"),
        (TWICE, "<a, 16 bytes>", "<a, 8 bytes>"),
        (FREED, "<b, 8 bytes, freed>", "<a, 16 bytes>"),
        (FREED, "<b, 8 bytes, freed>", "<b, 8 bytes>"),
        (PLACE, "at byte 2", "at byte 4"),
    ],
)
def test_a_message_about_something_else_is_seen(
    shown: tuple[History, History], position: int, old: str, new: str
) -> None:
    assert told(shown, position, old, new)


def test_nothing_is_known_of_the_message_of_a_fault(shown: tuple[History, History]) -> None:
    expected, got = shown
    other = (*got.outcomes[:READ], replace(got.outcomes[READ], raised=Raised("7")))
    changed = replace(got, outcomes=(*other, *got.outcomes[READ + 1 :]))
    assert judge_words(PROGRAM, expected, changed, {"DeviceLost"}) is not None
    assert judge_words(PROGRAM, expected, changed, {str(got.outcomes[READ].error)}) is None


def test_guesses_and_wording_are_free(shown: tuple[History, History]) -> None:
    assert not told(shown, READ, "(probably ", "(probably 77 of <q, 3 bytes>, or ")
    assert not told(shown, READ, "cannot read", "it is not possible to read")
    expected, got = shown
    silent = tuple(Outcome(error=outcome.error) for outcome in got.outcomes)
    assert judge_words(PROGRAM, expected, History(outcomes=silent, deliveries=())) is None
