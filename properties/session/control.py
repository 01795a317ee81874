"""A mistake planted on purpose, to show that a session would have seen one.

It sits between the judge and whatever target is judged, so that the same
programs, device and comparison are tried that the session relies on.
"""

from gpusim.ops import Dispatch, Free, Op, Write
from properties.model.target import Delivery, Target
from properties.targets.factory import TargetFactory, Wrapping

MOST_PROGRAMS = 100
"""Programs in which the mistake must show; a few are enough where all is well."""


def with_mistake(factory: TargetFactory) -> TargetFactory:
    """A factory of targets in which a dispatch overtakes the write before it."""
    return Wrapping(factory, _Overtaken)


class _Overtaken:
    """A host write is made again after a dispatch that follows it."""

    def __init__(self, target: Target) -> None:
        self.capabilities, self.limits = target.capabilities, target.limits
        self.close = target.close
        self._target = target
        self._write: Write | None = None

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        delivery = self._target.perform(op)
        if isinstance(op, Write):
            self._write = op
        elif isinstance(op, Dispatch) and self._write is not None:
            write, self._write = self._write, None
            self._target.perform(write)
        elif isinstance(op, Free):
            self._write = None
        return delivery
