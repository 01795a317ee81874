"""What is divided is divided within a block, and the notes say which goals were reached."""

import pytest

from properties.bench.launch import blocks_of, goals, paired, paired_rows
from properties.bench.timing import BARE, Sample


def sample(total_us: float, cpu_us: float = 1.0) -> Sample:
    return Sample(
        record_seconds=total_us / 2e6,
        cpu_seconds=cpu_us / 1e6,
        total_seconds=total_us / 1e6,
        process_seconds=2 * cpu_us / 1e6,
    )


@pytest.mark.unit
def test_a_block_is_the_median_of_its_plays() -> None:
    taken = [sample(us) for us in (1, 9, 2, 4, 6, 5)]
    blocks = blocks_of({"ring": taken}, 2)["ring"]
    assert [round(1e6 * block.total_seconds) for block in blocks] == [2, 5]
    assert [round(2e6 * block.record_seconds) for block in blocks] == [2, 5]


@pytest.mark.unit
def test_a_ratio_is_that_of_the_same_block() -> None:
    # The machine slows down by ten in the second block, for both alike.
    blocks = {
        "ring": [sample(9), sample(80), sample(9)],
        "cupy": [sample(10), sample(100), sample(12)],
    }
    assert paired(blocks, "ring", "cupy") == pytest.approx(0.8)
    ring, cupy = paired_rows("dependent, round 1", blocks, 1)
    assert [ring.more["least_us"], ring.more["most_us"]] == pytest.approx([9, 80])
    assert ring.more["process_us"] == pytest.approx(2)
    assert ring.more["paired_to_cupy"] == pytest.approx(0.8)
    assert cupy.more["paired_to_cupy"] == 1
    assert "paired_to_bare" not in ring.more


@pytest.mark.unit
@pytest.mark.parametrize(("ring_cpu_us", "word"), [(3.7, "reached"), (3.9, "missed")])
def test_a_goal_is_reached_or_missed(ring_cpu_us: float, word: str) -> None:
    blocks = {
        "ring": [sample(8, ring_cpu_us)],
        "replay": [sample(5)],
        BARE: [sample(5.1, 2.0)],
        "cupy": [sample(10)],
    }
    assert list(goals(blocks, 1)) == [
        f"ring computes {ring_cpu_us:.2f} us a dispatch, at most 3.80 are wanted "
        f"(1.15 times bare's 2.00 plus 1.5): {word}",
        "ring takes 0.80 of cupy's time, at most 0.9 is wanted: reached",
        "replay takes 0.50 of cupy's time, at most 0.5 is wanted: reached",
        "replay takes 0.98 of bare's time, at most 1.0 is wanted: reached",
    ]
    assert list(goals({"ring": blocks["ring"]}, 1)) == []
