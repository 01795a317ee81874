"""The collaborators of a runtime, as one argument.

Each collaborator may be replaced by another of the same protocol: a decorator that traces
it, or a broken collaborator that tests the judge.  Nothing here uses the collaborators.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.runtime.batch import FlushRules, Uploads
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.caches import BindGroupStore, CacheState, make_bind_groups
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.plans import DispatchPlan, Pipelines, Plans, Shapes
from gpusim.runtime.policy import Policy
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, Replays
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.transfers import Transfers
from gpusim.runtime.uniforms import UniformStore, make_uniforms


def _make_shapes(driver: Driver, policy: Policy, caches: CacheState) -> Shapes:
    return Shapes(caches, driver.limits.max_groups_per_dimension)


def _make_staging(driver: Driver, policy: Policy, caches: CacheState) -> StagingPool:
    return StagingPool(driver, policy.staging_buffers, policy.staging_class_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """How each collaborator is made.

    The makers of pools and caches take driver, policy and caches.  Any other maker takes
    the same arguments as the class that is its default.
    """

    caches: Callable[[Policy], CacheState] = CacheState
    uniforms: Callable[[Driver, Policy, CacheState], UniformStore] = make_uniforms
    bind_groups: Callable[[Driver, Policy, CacheState], BindGroupStore] = make_bind_groups
    shapes: Callable[[Driver, Policy, CacheState], Shapes] = _make_shapes
    staging: Callable[[Driver, Policy, CacheState], StagingPool] = _make_staging
    uploads: Callable[[Driver, Policy], Uploads] = Uploads
    plans: Callable[[int], Plans[DispatchPlan]] = Plans
    bound_graphs: Callable[[int], Plans[BoundGraph]] = Plans
    replays: Callable[..., Replays] = Replays
    flush_rules: Callable[[Policy], FlushRules] = FlushRules
    buffers: Callable[[], BufferTable] = BufferTable
    clock: Callable[[], QueueClock] = QueueClock
    readbacks: Callable[..., Readbacks] = Readbacks
    recorder: Callable[..., Recorder] = Recorder
    transfers: Callable[[Driver, Recorder, BufferTable, Pipelines], Transfers] = Transfers
    reads: Callable[..., Reads] = Reads
