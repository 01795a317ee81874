"""A target with one mistake that few programs show, so that most of a session is not shrinking."""

from gpusim.ops import Op, Read
from properties.model.target import Delivery
from properties.targets.naive_target import NaiveTarget


class Rare(NaiveTarget):
    """Raises where a read of three words begins at the second."""

    def perform(self, op: Op) -> Delivery | None:
        if isinstance(op, Read) and (op.offset, op.size_bytes) == (4, 12):
            raise RuntimeError("a read of three words")
        return super().perform(op)
