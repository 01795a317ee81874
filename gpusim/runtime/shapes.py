"""Launch shapes: checked and spread once, found again by kernel and grid.

Pure values, so an entry is never stale and the clock does not matter.
"""

from gpusim.kernels import Kernel
from gpusim.program import Grid
from gpusim.runtime.cache_state import CacheState, shape_key
from gpusim.runtime.launch import Launch, plan_launch


class Shapes:
    """The launch of a kernel over a grid, least recently used first out."""

    def __init__(self, caches: CacheState, max_groups_per_dimension: int) -> None:
        self._cache = caches.shapes
        self.counts = self._cache.counts
        self._max_groups_per_dimension = max_groups_per_dimension

    def get(self, kernel: Kernel, grid: Grid) -> Launch:
        """The launch; LimitExceeded where the grid cannot be dispatched."""
        key = shape_key(kernel, grid)
        launch = self._cache.get(key)
        if launch is None:
            launch = plan_launch(kernel, grid, self._max_groups_per_dimension)
            self._cache.put(key, launch)
        return launch
