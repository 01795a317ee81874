"""CacheState: the caches of TVM 18871's second phase, their keys and their invalidation.

Every key is computed here and nowhere else, beside the reason why it is right.

==========  ====================  =========================================
cache       entry is stale when   clock
==========  ====================  =========================================
uniforms    never: content only   an evicted buffer lives until submitted
bind group  a bound buffer goes   a dropped group may go at once: the
                                  encoder keeps what it refers to
shapes      never: pure values    none
==========  ====================  =========================================
"""

from gpusim.kernels import Kernel
from gpusim.program import Grid
from gpusim.runtime.bounded_cache import BoundedCache
from gpusim.runtime.commands import BindGroup, DeviceBuffer, Pipeline, Range
from gpusim.runtime.launch import Launch
from gpusim.runtime.policy import Policy

BindGroupKey = tuple[int, ...]
ShapeKey = tuple[Kernel, Grid]


def uniform_key(payload: bytes) -> bytes:
    """The content itself, never a hash of it.

    A uniform buffer is written once, when it is made, so that equal content
    means interchangeable buffers; the length is part of the content.
    """
    return payload


def bind_group_key(pipeline: Pipeline, ranges: tuple[Range, ...]) -> BindGroupKey:
    """The pipeline, then buffer, offset and size of each binding in order.

    Two kernels may share a name, arity and buffers and still differ in layout,
    so the pipeline is named, by its uid.  Uids are never given twice, so that a
    freed buffer's entry can never be found for its successor.
    """
    key = [pipeline.uid]
    for bound in ranges:
        key += (bound.buffer.uid, bound.offset, bound.size_bytes)
    return tuple(key)


def mentions(key: BindGroupKey, buffer: DeviceBuffer) -> bool:
    """Whether a bind-group key names ``buffer``: every third number from the second on."""
    return buffer.uid in key[1::3]


def shape_key(kernel: Kernel, grid: Grid) -> ShapeKey:
    """The kernel object itself, since its guard and group size shape the launch."""
    return kernel, grid


class CacheState:
    """The three caches, each with the capacity that the policy gives it."""

    def __init__(self, policy: Policy) -> None:
        self.uniforms: BoundedCache[bytes, DeviceBuffer] = BoundedCache(policy.uniform_cache)
        self.bind_groups: BoundedCache[BindGroupKey, BindGroup] = BoundedCache(
            policy.bind_group_cache
        )
        self.shapes: BoundedCache[ShapeKey, Launch] = BoundedCache(
            policy.shape_cache, by_recency=True
        )
