"""A client: how a program is put to our runtime.  Each is a target around a target, and shows
what the plain one shows.

The plain client hands every op on.  The others change how an op or two is put; what they change
they say in a method of that verb, which takes the op.
"""

from gpusim.ops import Op
from properties.model.target import Delivery
from properties.targets.runtime_target import RuntimeTarget


class BrokenPromise(Exception):
    """A runtime did not do what it promises to a client of this kind."""


class Client:
    """Hands every op to ``target``, but for those whose verb it has a method for."""

    def __init__(self, target: RuntimeTarget) -> None:
        self.capabilities = target.capabilities
        self.limits = target.limits
        self.target = target

    def perform(self, op: Op) -> Delivery | None:
        """See ``Target``."""
        changed = getattr(self, op.verb, None)
        delivery: Delivery | None = self.target.perform(op) if changed is None else changed(op)
        return delivery

    def close(self) -> None:
        """See ``Target``."""
        self.target.close()
