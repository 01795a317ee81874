"""The runtime's own kernels, for bytes that are not whole words.

WebGPU writes and copies only whole words at word offsets (specification,
"GPUQueue.writeBuffer" and "copyBufferToBuffer", validation).  These two kernels
move the rest.  Programs cannot name them.
"""

from typing import Any

import numpy as np

from gpusim.kernels.kernel import Array, Binding, Kernel, Scalar


def _patch_words(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    (x,) = arrays
    for at, mask, value in (scalars[:3], scalars[3:]):
        if mask:
            x[at] = (x[at] & ~mask) | (value & mask)


PATCH_WORDS = Kernel(
    name="gpusim_patch_words",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=tuple(
        Scalar(name=f"{field}{n}") for n in range(2) for field in ("at", "mask", "value")
    ),
    body=(
        "    if (i == 0u && args.mask0 != 0u) {\n"
        "        x[args.at0] = (x[args.at0] & ~args.mask0) | (args.value0 & args.mask0);\n"
        "    }\n"
        "    if (i == 0u && args.mask1 != 0u) {\n"
        "        x[args.at1] = (x[args.at1] & ~args.mask1) | (args.value1 & args.mask1);\n"
        "    }"
    ),
    meaning=_patch_words,
    group_size=1,
)
"""Replace the masked bytes of up to two words; a mask of zero leaves its word alone."""


def _copy_bytes(arrays: tuple[Array, ...], scalars: tuple[Any, ...], groups: int) -> None:
    source, target = (array.view(np.uint8) for array in arrays)
    source_at, target_at, size = (int(scalar) for scalar in scalars)
    target[target_at : target_at + size] = source[source_at : source_at + size]


COPY_BYTES = Kernel(
    name="gpusim_copy_bytes",
    buffers=(Binding(name="src"), Binding(name="dst", access="read_write")),
    scalars=(Scalar(name="src_at"), Scalar(name="dst_at"), Scalar(name="size")),
    body=(
        "    let first = args.dst_at / 4u;\n"
        "    let stop = args.dst_at + args.size;\n"
        "    let words = (stop + 3u) / 4u - first;\n"
        "    if (i < words) {\n"
        "        // 1 + the index of a word of src; for dst's first word that index may be -1.\n"
        "        let at = i + (args.src_at + 4u - args.dst_at % 4u) / 4u;\n"
        "        let shift = ((args.src_at - args.dst_at) % 4u) * 8u;\n"
        "        let last = arrayLength(&src) - 1u;\n"
        "        var taken = src[min(max(at, 1u) - 1u, last)];\n"
        "        if (shift != 0u) {\n"
        "            taken = (taken >> shift) | (src[min(at, last)] << (32u - shift));\n"
        "        }\n"
        "        var mask = 0xffffffffu;\n"
        "        if (i == 0u) { mask = mask << ((args.dst_at % 4u) * 8u); }\n"
        "        if (i == words - 1u) { mask &= 0xffffffffu >> (((0u - stop) % 4u) * 8u); }\n"
        "        dst[first + i] = (dst[first + i] & ~mask) | (taken & mask);\n"
        "    }"
    ),
    meaning=_copy_bytes,
)
"""dst[dst_at : +size] <- src[src_at : +size] in bytes, one word of dst for each lane."""
