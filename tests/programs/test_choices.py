"""Sources of choices: a seed gives the same choices everywhere, each within its bounds."""

from collections import Counter
from collections.abc import Callable

import pytest

from properties.generate.choices import Choices, DrawnChoices, SeededChoices, Weights


def drawn(seed: str) -> DrawnChoices:
    return DrawnChoices(SeededChoices(seed).integer)


@pytest.fixture(params=[SeededChoices, drawn], ids=["seeded", "variants"])
def choices(request: pytest.FixtureRequest) -> Choices:
    make: Callable[[str], Choices] = request.param
    return make("any")


def test_integer_reaches_both_ends_and_nothing_else(choices: Choices) -> None:
    assert {choices.integer(-1, 2) for _ in range(200)} == {-1, 0, 1, 2}


def test_integer_of_one_value_is_that_value(choices: Choices) -> None:
    assert choices.integer(7, 7) == 7


def test_pick_reaches_every_item(choices: Choices) -> None:
    assert {choices.pick("abc") for _ in range(100)} == set("abc")


def test_weighted_follows_the_weights_and_leaves_out_nought(choices: Choices) -> None:
    weights = Weights(("rare", 1), ("never", 0), ("often", 9))
    counts = Counter(choices.weighted(weights) for _ in range(2000))
    assert set(counts) == {"rare", "often"}
    assert 120 <= counts["rare"] <= 280


def test_chance_follows_its_fraction(choices: Choices) -> None:
    assert 420 <= sum(choices.chance(1, 4) for _ in range(2000)) <= 580


def test_smallest_draw_is_the_simplest_choice() -> None:
    simplest = DrawnChoices(lambda low, high: low)
    assert simplest.integer(3, 9) == 3
    assert simplest.pick("abc") == "a"
    assert simplest.weighted(Weights(("never", 0), ("first", 1), ("second", 5))) == "first"
    assert simplest.chance(19, 20) is False


def test_seed_gives_the_numbers_it_gave_yesterday() -> None:
    choices = SeededChoices("fixed")
    assert [choices.integer(0, 999) for _ in range(6)] == [914, 525, 968, 755, 802, 162]
