"""The layout rule of uniform buffers: arrays and structs begin at multiples of 16 bytes.

The language extension ``uniform_buffer_standard_layout`` lifts the rule; not every implementation
has it.  Source: WGSL specification, 14.4.5 "Address Space Layout Constraints".
"""

from itertools import pairwise

from gpusim.wgsl.types import Array, Struct, Type, align_of, rounded, size_of, stride_of

_UNIT = 16


def fits_uniform(kind: Type) -> bool:
    """Whether a type is laid out so that a uniform buffer may hold it without the extension."""
    if isinstance(kind, Array):
        # A stride is a multiple of the element's alignment already.
        return stride_of(kind) % _UNIT == 0 and fits_uniform(kind.of)
    if not isinstance(kind, Struct):
        return True
    for member, after in pairwise(kind.members):
        least = rounded(size_of(member.type), _UNIT)
        if isinstance(member.type, Struct) and after.offset - member.offset < least:
            return False
    return all(
        member.offset % _required(member.type) == 0 and fits_uniform(member.type)
        for member in kind.members
    )


def _required(kind: Type) -> int:
    """The alignment in a uniform buffer."""
    is_whole = isinstance(kind, Array | Struct)
    return rounded(align_of(kind), _UNIT) if is_whole else align_of(kind)
