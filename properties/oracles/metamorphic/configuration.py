"""The same program under another policy, another schedule, another device.

The memory budget stays, since what it refuses is part of what a program shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from gpusim.errors import ProgramError
from gpusim.kernels import Kernel
from gpusim.runtime.policy import Policy, parse_policy
from properties.case import Case
from properties.oracles.metamorphic.image import Image, unchanged
from properties.session.devices import is_simulated, parse_simulated


@dataclass(frozen=True, kw_only=True, slots=True)
class SetField:
    """One batching decision of the policy is another: a limit, a pool, a cache."""

    name: ClassVar[str] = "set_field"
    field: str
    value: str

    @property
    def words(self) -> str:
        return f"policy {self.field}={self.value}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        if self.field in ("memory_budget_bytes", "debug_dispatch_limit"):
            return None
        return _under(case, f"{case.policy} {self.field}={self.value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SetPreset:
    """The policy is a preset, eager among them."""

    name: ClassVar[str] = "set_preset"
    preset: str

    @property
    def words(self) -> str:
        return f"policy {self.preset}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        budget = case.policy.memory_budget_bytes
        return _under(case, f"{self.preset} memory_budget_bytes={budget}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SetSchedule:
    """A simulated device does what is left open by another schedule."""

    name: ClassVar[str] = "set_schedule"
    scheduler: str
    seed: int = 0

    @property
    def words(self) -> str:
        return f"schedule {self.scheduler} {self.seed}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        if not is_simulated(case.device):
            return None
        behaviour = parse_simulated(case.device)
        device = str(replace(behaviour, scheduler=self.scheduler, seed=self.seed))
        return None if device == case.device else unchanged(replace(case, device=device))


@dataclass(frozen=True, kw_only=True, slots=True)
class SetDevice:
    """Another device: what no kernel with a tolerance computed is the same."""

    name: ClassVar[str] = "set_device"
    device: str

    @property
    def words(self) -> str:
        return f"device {self.device}"

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Image | None:
        if self.device == case.device:
            return None
        return unchanged(replace(case, device=self.device), same_adapter=False)


def _under(case: Case, text: str) -> Image | None:
    policy = _parsed(text)
    if policy is None or policy == case.policy:
        return None
    return unchanged(replace(case, policy=policy))


def _parsed(text: str) -> Policy | None:
    try:
        return parse_policy(text)
    except ProgramError:
        return None
