"""An adapter as a target: each op becomes a call of the method of its verb."""

from typing import Any

from gpusim.ops import Op, arguments_of
from properties.model.target import Adapter, Delivery, Target


class AdapterTarget:
    """Carries out ops through the methods of ``adapter``."""

    def __init__(self, adapter: Adapter) -> None:
        self.capabilities, self.limits = adapter.capabilities, adapter.limits
        self.adapter = adapter
        self.close = adapter.close

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        delivery: Delivery | None = getattr(self.adapter, op.verb)(*arguments_of(op))
        return delivery


def as_target(made: Any) -> Target:
    """What a maker of targets gave, as a target: it is one, or an adapter."""
    target: Target = made if hasattr(made, "perform") else AdapterTarget(made)
    return target
