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
