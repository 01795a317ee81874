"""A caller that asks twice and forgets one ticket: nobody holds it, and nothing changes."""

from properties.callers.forwarding import Forwarding
from properties.target import Delivery


class DroppingCaller(Forwarding):
    """Issues every read once more before and after it, and drops those tickets."""

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        self.target.read(buffer, offset, size_bytes)
        delivery = self.target.read(buffer, offset, size_bytes)
        self.target.read(buffer, 0, 0)
        return delivery
