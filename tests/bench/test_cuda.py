"""An arm on CUDA takes part if it works, and says in a line why it does not."""

import pytest

from properties.bench.arms import Chain
from properties.bench.cuda import ENTRANTS, Entrant, Launches, cuda_arms, meant

CHAIN = Chain(name="chain", dispatches=12, buffers=3)


def sound(chain: Chain) -> Launches:
    """What a package would do, done at once by the kernel's meaning, round after round."""
    rounds = 0

    def launch() -> None:
        nonlocal rounds
        rounds += 1

    return Launches(launch, lambda: meant(chain, rounds))


def loses_the_last(chain: Chain) -> Launches:
    lost = Chain(name="lost", dispatches=chain.dispatches - 1, buffers=chain.buffers)
    return sound(lost)


def without_device(chain: Chain) -> Launches:
    raise AssertionError("no CUDA device is available\nsee the manual")


def fails_silently(chain: Chain) -> Launches:
    raise OSError


@pytest.mark.unit
def test_a_sound_arm_plays_rounds_and_leaves_the_words_that_the_chain_means() -> None:
    arms, notes = cuda_arms(CHAIN, {"fake": Entrant(("json",), sound)})
    assert notes == []
    for _ in range(2):
        sample = arms["fake"]()
        assert 0 <= sample.record_seconds <= sample.total_seconds
    assert arms["fake"].words == meant(CHAIN, rounds=2)
    assert len(set(meant(CHAIN)[256 * n :][:256] for n in range(3))) == 3


@pytest.mark.unit
def test_each_arm_that_cannot_run_says_why_and_the_others_go_on() -> None:
    entrants = {
        "missing": Entrant(("json", "no_such_package"), sound),
        "deviceless": Entrant((), without_device),
        "silent": Entrant((), fails_silently),
        "wrong": Entrant((), loses_the_last),
        "sound": Entrant((), sound),
    }
    arms, notes = cuda_arms(CHAIN, entrants)
    assert list(arms) == ["sound"]
    assert notes == [
        "missing: not run: package no_such_package is not installed",
        "deviceless: not run: AssertionError: no CUDA device is available",
        "silent: not run: OSError",
        "wrong: not run: it left wrong words in its buffers",
    ]


@pytest.mark.unit
def test_every_arm_plays_or_has_a_note() -> None:
    arms, notes = cuda_arms(CHAIN)
    assert {*arms, *(note.split(":")[0] for note in notes)} == set(ENTRANTS)
    assert len(arms) + len(notes) == len(ENTRANTS)
