"""Limits: what a device allows, and the policy's memory budget.

Data only.  The runtime and the oracle share the numbers, so that both refuse the
same ops; each has its own checks.
"""

from dataclasses import dataclass, replace

WORD_BYTES = 4
"""Bytes in the word that WebGPU aligns writes, copies and bindings to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of one device and policy; the defaults are those WebGPU guarantees.

    Source: WebGPU specification, section 3.6.2 "Limits".
    """

    max_buffer_bytes: int = 268_435_456
    max_binding_bytes: int = 134_217_728
    max_groups_per_dimension: int = 65_535
    max_storage_buffers: int = 8
    storage_offset_alignment_bytes: int = 256
    uniform_offset_alignment_bytes: int = 256
    memory_budget_bytes: int | None = None
    """The most bytes that all live buffers may have together; None: no budget."""

    def within(self, memory_budget_bytes: int | None) -> "Limits":
        """These limits under another budget."""
        if memory_budget_bytes == self.memory_budget_bytes:
            return self
        return replace(self, memory_budget_bytes=memory_budget_bytes)
