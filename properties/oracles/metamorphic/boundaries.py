"""Where commands are submitted, and under which configuration, changes nothing that is shown.

Flush and sync put in and left out; the same program under another policy, schedule or device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.ops import Flush, Sync
from gpusim.runtime.policy import PRESETS, Policy, parse_policy
from properties.generate.choices import Choices
from properties.model.case import SCHEDULERS, Case, Rewrite, parse_device
from properties.oracles.metamorphic.registry import (
    MOST_SEED,
    Scope,
    draw_gap,
    draw_op,
    transformation,
)
from properties.oracles.metamorphic.rewrites import Rewriting, inserted, unchanged

Boundary = Literal["flush", "sync"]


@transformation(6)
@dataclass(frozen=True, kw_only=True, slots=True)
class InsertBoundary:
    """A flush or a sync in the gap before op ``at``."""

    name: ClassVar[str] = "insert_boundary"
    boundary: Boundary
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(boundary=_draw_boundary(choices), at=draw_gap(choices, scope))

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before op {self.at}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return inserted(case, self.at, [Flush() if self.boundary == "flush" else Sync()])


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class InsertEverywhere:
    """A flush or a sync before every op."""

    name: ClassVar[str] = "insert_everywhere"
    boundary: Boundary

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(boundary=_draw_boundary(choices))

    @property
    def words(self) -> str:
        return f"`{self.boundary}` before every op"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        rewriting = Rewriting(case)
        for op in case.program:
            rewriting.add(Flush() if self.boundary == "flush" else Sync())
            rewriting.keep(op)
        return rewriting.rewrite()


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteBoundary:
    """The flush or sync at ``at`` is left out."""

    name: ClassVar[str] = "delete_boundary"
    at: int

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(at=draw_op(choices, scope, Flush, Sync))

    @property
    def words(self) -> str:
        return f"op {self.at}, a flush or sync, left out"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return _without(case, [self.at])


@transformation(2)
@dataclass(frozen=True, kw_only=True, slots=True)
class DeleteEverywhere:
    """Every flush and sync is left out."""

    name: ClassVar[str] = "delete_everywhere"

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls()

    @property
    def words(self) -> str:
        return "every flush and sync left out"

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


def _draw_boundary(choices: Choices) -> Boundary:
    return "sync" if choices.chance(1, 3) else "flush"


_VALUES: Mapping[str, Sequence[object]] = {
    "batch_commands": (None, 0, 1, 2, 3),
    "batch_bytes": (None, 0, 16, 256),
    "first_batch": (None, 1, 2, 5),
    "merge_passes": (True, False),
    "flush_on_conflict": (True, False),
    "staged_write_bytes": (4096, 0, 4, 16),
    "upload_bytes": (1 << 16, 8, 64),
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
    "debug_submit_each": (False, True),
}
"""What a field of a policy is set to."""


@transformation(6)
@dataclass(frozen=True, kw_only=True, slots=True)
class SetField:
    """One batching decision of the policy is another: a limit, a pool, a cache."""

    name: ClassVar[str] = "set_field"
    field: str
    value: str

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        field = choices.pick(list(_VALUES))
        return cls(field=field, value=str(choices.pick(_VALUES[field])))

    @property
    def words(self) -> str:
        return f"policy {self.field}={self.value}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if self.field in ("memory_budget_bytes", "debug_dispatch_limit"):
            return None
        return _under(case, f"{case.policy} {self.field}={self.value}")


@transformation(3)
@dataclass(frozen=True, kw_only=True, slots=True)
class SetPreset:
    """The policy is a preset, eager among them."""

    name: ClassVar[str] = "set_preset"
    preset: str

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(preset=choices.pick(list(PRESETS)))

    @property
    def words(self) -> str:
        return f"policy {self.preset}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        budget = case.policy.memory_budget_bytes
        return _under(case, f"{self.preset} memory_budget_bytes={budget}")


@transformation(lambda scope: 3 * scope.case.device.is_simulated)
@dataclass(frozen=True, kw_only=True, slots=True)
class SetSchedule:
    """A simulated device does what is left open by another schedule."""

    name: ClassVar[str] = "set_schedule"
    scheduler: str
    seed: int = 0

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(scheduler=choices.pick(SCHEDULERS), seed=choices.integer(0, MOST_SEED))

    @property
    def words(self) -> str:
        return f"schedule {self.scheduler} {self.seed}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        if not case.device.is_simulated:
            return None
        device = replace(case.device, scheduler=self.scheduler, seed=self.seed)
        return None if device == case.device else unchanged(replace(case, device=device))


@transformation(lambda scope: bool(scope.others))
@dataclass(frozen=True, kw_only=True, slots=True)
class SetDevice:
    """Another device: what no kernel with a tolerance computed is the same."""

    name: ClassVar[str] = "set_device"
    device: str

    @classmethod
    def draw(cls, choices: Choices, scope: Scope) -> Self:
        return cls(device=choices.pick(scope.others))

    @property
    def words(self) -> str:
        return f"device {self.device}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        device = parse_device(self.device)
        if device == case.device:
            return None
        return unchanged(replace(case, device=device), same_adapter=False)


def _under(case: Case, text: str) -> Rewrite | None:
    policy = _parsed(text)
    if policy is None or policy == case.policy:
        return None
    return unchanged(replace(case, policy=policy))


def _parsed(text: str) -> Policy | None:
    try:
        return parse_policy(text)
    except ProgramError:
        return None
