"""Rounds are interleaved, the first thrown away, and the clocks run when they should."""

from functools import partial

import pytest

from properties.bench import timing
from properties.bench.timing import Sample, Watch, interleave, spread


def test_every_arm_plays_once_a_round_in_another_order_each_time() -> None:
    played: list[str] = []

    def arm(name: str) -> Sample:
        played.append(name)
        return Sample(record_seconds=0.0, cpu_seconds=0.0, total_seconds=float(len(played)))

    samples = interleave({name: partial(arm, name) for name in "abc"}, rounds=20)
    rounds = ["".join(played[at : at + 3]) for at in range(0, len(played), 3)]
    assert len(rounds) == 21
    assert {"".join(sorted(one)) for one in rounds} == {"abc"}
    assert {one[0] for one in rounds} == set("abc")
    turns = [3 * number + one.index("a") + 1 for number, one in enumerate(rounds)]
    assert [sample.total_seconds for sample in samples["a"]] == turns[1:]


def test_a_turn_may_be_of_several_samples_and_begins_with_what_makes_all_alike() -> None:
    heard: list[str] = []

    def arm(name: str) -> Sample:
        heard.append(name)
        return Sample(record_seconds=0.0, cpu_seconds=0.0, total_seconds=0.0)

    plays = {name: partial(arm, name) for name in "ab"}
    samples = interleave(
        plays, 2, warm_rounds=0, turn=3, settle=1, before=lambda: heard.append("|")
    )
    assert sorted("".join(heard).split("|")[1:]) == ["aaaa", "aaaa", "bbbb", "bbbb"]
    assert [len(samples[name]) for name in "ab"] == [6, 6]


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    found = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    assert spread([7.0]).high == 7.0


def test_what_comes_between_pause_and_resume_is_not_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    monkeypatch.setattr(timing, "thread_time", lambda: now / 2)
    watch = Watch()
    now = 1.0
    watch.pause()
    now = 10.0
    watch.resume()
    now = 13.0
    watch.pause()
    now = 20.0
    assert watch.stop() == Sample(record_seconds=4.0, cpu_seconds=2.0, total_seconds=20.0)
