"""The oracle: what a program means, op after op, in NumPy.

Nothing here batches, pools, caches or defers.  Nothing here knows a runtime or a
device, and the import loads neither.
"""

from reference.executor import Reference, ReferenceDelivery, run

__all__ = ["Reference", "ReferenceDelivery", "run"]
