"""What a session judges: it opens a target for each program, and says what was seen there."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.runtime import Parts, Policy, WgpuDriver
from gpusim.runtime.policy import Uniforms
from gpusim.runtime.stats import Counts, Stats
from properties.target import Target
from properties.targets.runtime_target import RuntimeTarget

_UNIFORMS = {
    Uniforms.FRESH: "fresh uniforms",
    Uniforms.POOLED: "uniform pool",
    Uniforms.CACHED: "uniform cache",
}


class Subject(Protocol):
    """Makes a target for each program of a session, all on one device."""

    limits: Limits
    refuses: bool
    """Whether programs hold ops that are refused on purpose."""

    def open(self, policy: Policy) -> Target:
        """A new target, that shares nothing with the one before but the device."""
        ...

    def seen(self, target: Target) -> Mapping[str, int]:
        """What a target of ``open`` did on its driver, counted by name."""
        ...


class RuntimeSubject:
    """Our runtime over one shared driver, which compiles each kernel once."""

    refuses = True

    def __init__(
        self, device: Any, kernels: Mapping[str, Kernel], parts: Parts | None = None
    ) -> None:
        self._driver = WgpuDriver(device)
        self._kernels = kernels
        self._parts = parts or Parts()
        self.limits = self._driver.limits

    def open(self, policy: Policy) -> RuntimeTarget:
        """A new runtime."""
        return RuntimeTarget(self._driver, policy, kernels=self._kernels, parts=self._parts)

    def seen(self, target: Target) -> Mapping[str, int]:
        """The runtime's own statistics."""
        if not isinstance(target, RuntimeTarget):
            return {}
        return _count(target.runtime.stats(), target.runtime.policy)


def judge_runtime(device: Any, kernels: Mapping[str, Kernel]) -> Subject:
    """Our runtime, as it is."""
    return RuntimeSubject(device, kernels)


def _count(stats: Stats, policy: Policy) -> Counter[str]:
    counts: Counter[str] = Counter()
    for reason, number in stats.flushes.items():
        counts[f"flush {reason}"] += number
    parts = {
        _UNIFORMS[policy.uniforms]: stats.uniforms,
        "bind-group cache" if policy.cache_bind_groups else "fresh bind groups": stats.bind_groups,
        "shape cache": stats.shapes,
        "staging pool" if policy.staging_buffers else "fresh staging": stats.staging,
    }
    for part, part_counts in parts.items():
        for event, number in part_counts.since(Counts()).items():
            counts[f"{part} {event}"] += number
    return counts
