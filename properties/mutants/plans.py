"""Mistakes in what is remembered of a dispatch that was checked."""

from collections.abc import Hashable
from typing import Any

from gpusim.runtime.buffers import Buffer
from gpusim.runtime.parts import Parts
from gpusim.runtime.plans import AnyPlan, DispatchPlan, Plans
from properties.mutants.mutant import Mutant, mutant


class KeyedPlans(Plans[AnyPlan]):
    """Plans whose key a subclass computes in its own way from the right one."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.get = self._get

    def put(self, key: Hashable, plan: AnyPlan) -> None:
        assert isinstance(key, tuple)
        super().put(self._key(key), plan)

    def _get(self, key: Hashable, default: Any = None) -> Any:
        assert isinstance(key, tuple)
        return self._plans.get(self._key(key), default)

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        raise NotImplementedError


class PlanKeyLacksGrid(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by its kernel and buffers."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, _, *buffers = key
        return (kernel, *buffers)


class PlanKeyLacksOrder(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by the buffers that it binds, in any order."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        return (kernel, grid, *sorted(buffer.uid for buffer in buffers))


class PlanKeyLacksKernel(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by its grid, its buffers and the access it has to them."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        return (tuple(binding.access for binding in kernel.buffers), grid, *buffers)


class PlanKeyProduct(KeyedPlans[DispatchPlan]):
    """A checked dispatch is found by the number of its groups, and runs over that shape."""

    def _key(self, key: tuple[Any, ...]) -> Hashable:
        kernel, grid, *buffers = key
        groups = grid if isinstance(grid, int) else abs(grid[0] * grid[1] * grid[2])
        return (kernel, groups, *buffers)


class PlanSurvivesFree(Plans[DispatchPlan]):
    """A checked dispatch is still found after one of its buffers was freed."""

    def forget(self, buffer: Buffer) -> None:
        """Nothing goes."""


def _plans(broken: type[Plans[DispatchPlan]], **about: Any) -> Mutant:
    return mutant(broken, parts=Parts(plans=broken), **about)


MUTANTS = (
    _plans(PlanKeyLacksGrid),
    _plans(PlanKeyLacksOrder),
    _plans(PlanKeyLacksKernel),
    _plans(PlanKeyProduct, hard=True, rare=True),
    _plans(PlanSurvivesFree, hard=True),
)
