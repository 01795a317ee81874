"""The collaborators of a runtime: how each is made (``Parts``), and which others it is given.

Each collaborator may be replaced by another of the same protocol: a decorator that traces
it, or a broken collaborator that tests the judge.  No op lives here, and nothing is decided here:
the policy decides.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gpusim.limits import Limits
from gpusim.runtime import checks
from gpusim.runtime.batch import FlushRules, Uploads
from gpusim.runtime.buffers import BufferTable
from gpusim.runtime.caches import BindGroupStore, CacheState, make_bind_groups
from gpusim.runtime.drivers.driver import Driver
from gpusim.runtime.graph import Captures
from gpusim.runtime.guard import Guard
from gpusim.runtime.handles import Handle
from gpusim.runtime.host_writes import QueueClock
from gpusim.runtime.plans import DispatchPlan, Pipelines, Planner, Plans, Shapes
from gpusim.runtime.policy import Policy
from gpusim.runtime.readbacks import Readbacks
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.replays import BoundGraph, DebugModes, Replays
from gpusim.runtime.staging import StagingPool
from gpusim.runtime.stats import COUNTED
from gpusim.runtime.transfers import Transfers
from gpusim.runtime.uniforms import UniformStore, make_uniforms


def _make_shapes(driver: Driver, policy: Policy, caches: CacheState) -> Shapes:
    return Shapes(caches, driver.limits.max_groups_per_dimension)


def _make_staging(driver: Driver, policy: Policy, caches: CacheState) -> StagingPool:
    return StagingPool(driver, policy.staging_buffers, policy.staging_class_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """How each collaborator is made.

    ``uniforms``, ``bind_groups``, ``shapes`` and ``staging`` take the driver, the policy and the
    ``CacheState``.  Any other maker takes the arguments of the class that is its default.
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


class Assembly(Handle):
    """The collaborators of a runtime.

    The runtime sets ``policy``, ``limits`` and ``_driver`` before it calls ``_assemble``.
    """

    policy: Policy
    limits: Limits
    _driver: Driver

    def _assemble(self, parts: Parts) -> None:
        self._done = dict.fromkeys(COUNTED, 0)
        self._captures = Captures()
        self._wait_seconds = checks.seconds("wait", self.policy.wait_seconds)
        self._assemble_stores(parts)
        self._assemble_ops(parts)

    def _assemble_stores(self, parts: Parts) -> None:
        driver, policy = self._driver, self.policy
        caches = parts.caches(policy)
        self._buffers = parts.buffers()
        self._uniforms = parts.uniforms(driver, policy, caches)
        self._bind_groups = parts.bind_groups(driver, policy, caches)
        self._shapes = parts.shapes(driver, policy, caches)
        self._staging = parts.staging(driver, policy, caches)
        self._uploads = parts.uploads(driver, policy)
        self._clock = parts.clock()
        self._readbacks = parts.readbacks(driver, self._staging, self._clock, self._wait_seconds)
        self._recorder = parts.recorder(
            driver,
            uniforms=self._uniforms,
            bind_groups=self._bind_groups,
            uploads=self._uploads,
            rules=parts.flush_rules(policy),
            readbacks=self._readbacks,
            clock=self._clock,
            merge_passes=policy.merge_passes,
            keep_groups=policy.cache_bind_groups,
            wait_seconds=self._wait_seconds,
        )

    def _assemble_ops(self, parts: Parts) -> None:
        driver, policy = self._driver, self.policy
        pipelines = Pipelines(driver, dynamic_uniforms=self._uniforms.is_dynamic)
        self._planner = Planner(
            limits=self.limits,
            buffers=self._buffers,
            plans=parts.plans(policy.plan_cache),
            shapes=self._shapes,
            pipelines=pipelines,
        )
        self._guard = Guard(
            driver, recorder=self._recorder, readbacks=self._readbacks, captures=self._captures
        )
        self._transfers = parts.transfers(driver, self._recorder, self._buffers, pipelines)
        self._reads = parts.reads(
            driver,
            recorder=self._recorder,
            staging=self._staging,
            readbacks=self._readbacks,
            clock=self._clock,
            guard=self._guard,
            join=policy.join_reads,
            page_bytes=policy.staging_page_bytes,
            wait_seconds=self._wait_seconds,
        )
        self._debug = DebugModes.of(policy, self._reads, self._guard, self._done)
        self._replays = parts.replays(
            guard=self._guard,
            planner=self._planner,
            recorder=self._recorder,
            transfers=self._transfers,
            plans=parts.bound_graphs(policy.graph_cache),
            done=self._done,
            debug=self._debug,
            as_runs=self._debug is None and self._uniforms.is_dynamic,
            alignment_bytes=driver.limits.uniform_offset_alignment_bytes,
        )
