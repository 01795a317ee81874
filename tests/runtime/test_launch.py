"""How a grid is launched: what an index can count, and within which box."""

import pytest

from gpusim.errors import LimitExceeded
from gpusim.kernels import SCRAMBLE, TALLY
from gpusim.runtime.commands import Launch
from gpusim.runtime.plans import plan_launch

MOST = 65_535


def test_the_last_grid_that_an_index_counts_is_launched() -> None:
    launch = plan_launch(TALLY, (TALLY.max_groups, 1, 1), MOST)
    x, y, z = launch.spread
    assert launch.groups == TALLY.max_groups <= x * y * z
    assert max(launch.spread) <= MOST
    with pytest.raises(LimitExceeded):
        plan_launch(TALLY, (TALLY.max_groups + 1, 1, 1), MOST)


def test_a_grid_within_the_limit_is_launched_as_it_is() -> None:
    assert plan_launch(TALLY, (MOST, 2, 1), MOST) == Launch(2 * MOST, (MOST, 2, 1))
    assert plan_launch(SCRAMBLE, (MOST, 0, 1), MOST) == Launch(0, (MOST, 0, 1))


def test_only_a_guarded_kernel_is_spread() -> None:
    assert plan_launch(TALLY, (MOST + 1, 1, 1), MOST).groups == MOST + 1
    with pytest.raises(LimitExceeded):
        plan_launch(SCRAMBLE, (MOST + 1, 1, 1), MOST)


@pytest.mark.parametrize("most", [2048, 2049, 3000, 65_534, MOST, 65_536, 10**6])
@pytest.mark.parametrize("fewer", [0, 1, 2, 1000, 10**6])
def test_no_box_has_more_groups_than_a_kernel_can_number(most: int, fewer: int) -> None:
    groups = TALLY.max_groups - fewer
    x, y, z = plan_launch(TALLY, (groups, 1, 1), most).spread
    assert groups <= x * y * z <= 2**32
    assert max(x, y, z) <= most


def test_a_grid_is_refused_if_each_box_has_too_many_groups() -> None:
    """With 2,000 a dimension there is no box of just 2^32 or 2^32 - 1 groups."""
    assert plan_launch(TALLY, (2000**3 // 2, 1, 1), 2000).spread == (2000, 2000, 1000)
    with pytest.raises(LimitExceeded, match="three dimensions of 2000 do not hold 4294967295"):
        plan_launch(TALLY, (2**32 - 1, 1, 1), 2000)
