"""The collaborators of a runtime, as one argument.

Each may be replaced by another of the same protocol: by a decorator that
traces it, or by a broken one that shows whether a judge sees.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.runtime.bind_groups import BindGroupStore, make_bind_groups
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.cache_state import CacheState
from gpusim.runtime.driver import Driver
from gpusim.runtime.flush_rules import FlushRules
from gpusim.runtime.policy import Policy
from gpusim.runtime.shapes import Shapes
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.uniforms import UniformStore, make_uniforms


def _make_shapes(driver: Driver, policy: Policy, caches: CacheState) -> Shapes:
    return Shapes(caches, driver.limits.max_groups_per_dimension)


def _make_staging(driver: Driver, policy: Policy, caches: CacheState) -> StagingPool:
    return StagingPool(driver, policy.staging_buffers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """How each collaborator is made; every maker takes driver, policy and caches."""

    caches: Callable[[Policy], CacheState] = CacheState
    uniforms: Callable[[Driver, Policy, CacheState], UniformStore] = make_uniforms
    bind_groups: Callable[[Driver, Policy, CacheState], BindGroupStore] = make_bind_groups
    shapes: Callable[[Driver, Policy, CacheState], Shapes] = _make_shapes
    staging: Callable[[Driver, Policy, CacheState], StagingPool] = _make_staging
    flush_rules: Callable[[Policy], FlushRules] = FlushRules
    buffers: Callable[[], BufferTable] = BufferTable
