"""Transformations of when and how commands are submitted.

Flushes and syncs are inserted or left out; the program runs under another policy, schedule or
device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from gpusim.kernels import Kernel
from gpusim.ops import Flush, Sync
from gpusim.runtime.policy import PRESETS, Policy, parse_policy
from properties.generate.choices import Choices
from properties.model.case import SCHEDULERS, Case, Rewrite, parse_device
from properties.oracles.metamorphic.registry import (
    Gap,
    Kind,
    OneOf,
    Scope,
    Seed,
    op_of,
    transformation,
)
from properties.oracles.metamorphic.rewrites import Rewriting, inserted, unchanged


def _draw_boundary(choices: Choices, scope: Scope) -> str:
    return "sync" if choices.chance(1, 3) else "flush"


Boundary = Annotated[Literal["flush", "sync"], _draw_boundary]


@transformation(6, "`{boundary}` before op {at}")
class InsertBoundary(Kind):
    """A flush or a sync in the gap before op ``at``."""

    boundary: Boundary
    at: Gap

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return inserted(case, self.at, [Flush() if self.boundary == "flush" else Sync()])


@transformation(2, "`{boundary}` before every op")
class InsertEverywhere(Kind):
    """A flush or a sync before every op."""

    boundary: Boundary

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        rewriting = Rewriting(case)
        for op in case.program:
            rewriting.add(Flush() if self.boundary == "flush" else Sync())
            rewriting.keep(op)
        return rewriting.rewrite()


@transformation(2, "op {at}, a flush or sync, left out")
class DeleteBoundary(Kind):
    """The flush or sync at ``at`` is left out."""

    at: Annotated[int, op_of(Flush, Sync)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return _without(case, [self.at])


@transformation(2, "every flush and sync left out")
class DeleteEverywhere(Kind):
    """Every flush and sync is left out."""

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return _without(case, range(len(case.program)))


def _without(case: Case, positions: range | list[int]) -> Rewrite | None:
    rewriting = Rewriting(case)
    for position, op in enumerate(case.program):
        if position in positions and isinstance(op, Flush | Sync):
            rewriting.drop()
        else:
            rewriting.keep(op)
    return rewriting.rewrite() if len(rewriting.ops) < len(case.program) else None


_VALUES: Mapping[str, Sequence[object]] = {
    "batch_commands": (None, 0, 1, 2, 3),
    "batch_bytes": (None, 0, 16, 256),
    "batch_groups": (None, 0, 2, 5, 16),
    "first_batch": (None, 1, 2, 5),
    "merge_passes": (True, False),
    "flush_on_conflict": (True, False),
    "staged_write_bytes": (4096, 0, 4, 16),
    "upload_bytes": (1 << 16, 8, 64),
    "queued_write_bytes": (None, 16, 64, 256),
    "defer_frees": (True, False),
    "join_reads": (True, False),
    "uniforms": ("fresh", "pooled", "cached", "ring"),
    "uniform_ring_bytes": (1 << 18, 256, 512),
    "plan_cache": (4096, 0, 1, 2),
    "graph_cache": (64, 0, 1),
    "uniform_slots": (1024, 1, 2, 3),
    "uniform_cache": (512, 1, 2, 3),
    "cache_bind_groups": (True, False),
    "bind_group_cache": (256, 1, 2, 3),
    "shape_cache": (256, 1, 2, 3),
    "staging_buffers": (4, 0, 1, 2),
    "staging_page_bytes": (4096, 16, 256),
    "staging_class_bytes": (1 << 20, 0, 256),
    "wait_seconds": (None, 600),
    "debug_submit_each": (False, True),
}
"""The values that a field of a policy may be set to."""


@transformation(6, "policy {field}={value}")
class SetField(Kind):
    """One field of the policy is changed: a limit, a pool or a cache."""

    field: str
    value: str

    def __post_init__(self) -> None:
        # ProgramError if no policy has that field, or that value of it.
        self._value()

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        field = choices.pick(list(_VALUES))
        return cls(field=field, value=str(choices.pick(_VALUES[field])))

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if self.field in ("memory_budget_bytes", "debug_dispatch_limit"):
            return None
        return _under(case, replace(case.policy, **{self.field: self._value()}))

    def _value(self) -> Any:
        return getattr(parse_policy(f"eager {self.field}={self.value}"), self.field)


@transformation(3, "policy {preset}")
class SetPreset(Kind):
    """The policy is replaced by a preset; eager is one of them."""

    preset: Annotated[str, OneOf(*PRESETS)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        budget = case.policy.memory_budget_bytes
        return _under(case, replace(PRESETS[self.preset], memory_budget_bytes=budget))


@transformation(lambda scope: 3 * scope.case.device.is_simulated, "schedule {scheduler} {seed}")
class SetSchedule(Kind):
    """The simulated device gets another scheduler."""

    scheduler: Annotated[str, OneOf(*SCHEDULERS)]
    seed: Seed = 0

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if not case.device.is_simulated:
            return None
        device = replace(case.device, scheduler=self.scheduler, seed=self.seed)
        return None if device == case.device else unchanged(replace(case, device=device))


@transformation(lambda scope: bool(scope.others), "device {device}")
class SetDevice(Kind):
    """Another device; only results of kernels with a tolerance may differ."""

    device: Annotated[str, lambda choices, scope: choices.pick(scope.others)]

    def __post_init__(self) -> None:
        # ProgramError if no device has that name.
        parse_device(self.device)

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        device = parse_device(self.device)
        if device == case.device:
            return None
        return unchanged(replace(case, device=device), same_adapter=False)


def _under(case: Case, policy: Policy) -> Rewrite | None:
    return None if policy == case.policy else unchanged(replace(case, policy=policy))
