"""What the programs that ship a shader dispatch it with: sizes, uniforms, workgroups.

``mistakes`` and ``shipped`` fill the bindings of a shader that was not recorded with small numbers,
which its own program never passes: strides of 2 in rows of 8, a board of three cells.  For shaders
for which this matters, a Host has what that program passes, read from its source.  A recorded
dispatch, a JSON file beside the shader, comes before any of these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gpusim.wgsl import Binding
from gpusim.wgsl.types import Struct

Number = int | float


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A dispatch: ``path`` is the end of the shader's path, as a pattern.

    ``sizes`` has, by the name of a binding, how many elements its runtime-sized array has;
    ``words`` has, by the name of a binding, its contents; ``fields`` has, by the name of a member
    of a uniform, its value.  Each name is a pattern, for all names that it matches.
    """

    path: str
    groups: tuple[int, int, int] = (1, 1, 1)
    values: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    fields: Mapping[str, Number] = field(default_factory=dict)


# webgpu-samples, sample/computeBoids/main.ts; naga's test says NUM_PARTICLES and is wgpu's example.
_RULES = {
    "deltaT": 0.04, "rule1Distance": 0.1, "rule2Distance": 0.025, "rule3Distance": 0.025,
    "rule1Scale": 0.02, "rule2Scale": 0.05, "rule3Scale": 0.005,
}  # fmt: skip
_BIRDS: dict[str, Any] = {
    "groups": (24, 1, 1),
    "sizes": {"particles(Src|Dst|A|B)": 1500},
    "fields": _RULES,
}
# ggml-webgpu.cpp passes dst->nb[i] / ggml_type_size(dst->type) as strides.  This is a tensor of
# 8 x 4 x 2 x 2 whose rows lie one after another, as ggml_new_tensor makes it.
_TENSOR: dict[str, Number] = {
    r"(offset|lp|rp|mode|n_offs|swapped).*": 0,
    r"stride_idx[012]": 1,
    r"(stride_\w*|s[io])0": 1, r"(stride_\w*|s[io])1": 8,
    r"(stride_\w*|s[io])2": 32, r"(stride_\w*|s[io])3": 64,
    r"(\w*_)?ne0": 8, r"(\w*_)?ne1": 4, r"(\w*_)?ne2": 2, r"(\w*_)?ne3": 2,
    "ne": 128, "n_rows": 4, "n_threads": 64, "n_dims": 8,
}  # fmt: skip
_ALL = {".*": 128}


def _ggml(name: str, **given: Any) -> Host:
    fields = {**given.pop("fields", {}), **_TENSOR}
    sizes = {**given.pop("sizes", {}), **_ALL}
    return Host(path=rf"ggml.*/{name}[.\w]*\.wgsl", fields=fields, sizes=sizes, **given)


# tvm and mlc-llm, for the cache of a model: there are two sequences, and offsets are zero.
_CACHE: dict[str, Number] = {
    "B|batch_size": 2, r"\w*_elem_offset|rotary_mode": 0,
    "attn_score_scaling_factor|rope_scale|causal": 1, "rope_theta": 10000,
    "max_num_pages|nnz_pages|num_pages": 3, "total_len|qo_len": 5, "kv_len": 27, "tree_size": 5,
}  # fmt: skip
_NONE = (0,) * 8


def _tvm(name: str, groups: tuple[int, int, int] = (1, 1, 1), **given: Any) -> Host:
    fields = {**given.pop("fields", {}), **_CACHE, "packGridDimX": groups[0] - 1}
    path = rf"tvm.*/{name}_kernel[-\w]*\.wgsl"
    return Host(path=path, fields=fields, sizes={".*": 1 << 18}, groups=groups, **given)


HOSTS = (
    Host(path="naga.*/boids.wgsl", **_BIRDS),
    # A sequence has a page of five positions, another has two pages, of which the last has nine.
    _tvm(
        "batch_(decode|prefill)_paged_kv(_sliding_window)?",
        groups=(2, 2, 1),
        words={
            r"page_(table_)?indptr": (0, 1, 3),
            r"page_(table_)?values": (2, 0, 1),
            "length_info": (5, 9, 0, 0, 0, 0),
            "q_indptr": (0, 2, 5),
            r"(q|k)_rope\w*": _NONE,
        },
    ),
    _tvm(
        "batch_prefill_ragged_kv",
        groups=(2, 2, 1),
        words={"q_indptr": (0, 2, 5), "kv_indptr": (0, 7, 27), r"(q|k)_rope\w*": _NONE},
    ),
    _tvm(  # A tree of two and one of three, whose nodes see what is above them.
        "batch_tree_attn",
        groups=(2, 2, 1),
        words={
            "(q|kv)_indptr": (0, 2, 5),
            "mn_indptr": (0, 4, 13),
            "mask": (1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1),
            "q_rope_position": (0, 1, 0, 1, 1),
        },
    ),
    _tvm("merge_state_inplace", groups=(8, 1, 1), fields={"D": 256, "H": 32, "N": 8}),
    _tvm("chunk_lse", groups=(4, 1, 1), fields={"num_chunks": 2, "vocab_size": 8000}),
    _tvm(  # Two sequences, of which each has had some tokens.
        "apply_penalty_inplace",
        fields={"num_seq": 2, "num_token": 5, "vocab_size": 500},
        words={
            "pos2seq_id": (0, 0, 1, 1, 1),
            "seq_ids": (0, 1),
            "token_ids": (3, 70, 3, 8, 499),
            "token_cnt": (1, 2, 1, 1, 4),
        },
    ),
    _tvm(
        "apply_bitmask_inplace",
        groups=(4, 1, 1),
        fields={"num_seq": 2, "vocab_size": 500},
        words={"seq_ids": (1, 0), "bitmask": tuple(0x5A5A0FF0 + 77 * row for row in range(32))},
    ),
    _tvm(  # Positions 2, 3 and 20 move to 0, 1 and 17.
        "compact_kv_copy",
        groups=(16, 1, 1),
        fields={"total_copy_length": 3},
        words={"copy_length_indptr": (0, 2, 3), "copy_src_dst_pos": (2, 3, 20, 0, 1, 17)},
    ),
    _tvm(
        "copy_single_page",
        groups=(4, 1, 1),
        fields={"copy_length": 3, "page_size": 16, "src_page_id": 1, "tgt_page_id": 0},
    ),
    _tvm(  # A cache has a position for each token.
        "tir_kv_cache_transpose_append",
        groups=(4, 1, 1),
        words={"position_map": tuple(range(1 << 10))},
    ),
    # The sizes of other buffers are in the model: these are larger than any index of one workgroup.
    Host(path=r"tvm.*/[-\w]+\.wgsl", sizes={".*": 1 << 20}),
    Host(path="computeBoids/updateSprites.wgsl", **_BIRDS),
    Host(path="boids/compute.wgsl", **_BIRDS),
    Host(  # sample/gameOfLife/main.ts
        path="gameOfLife/compute.wgsl",
        groups=(16, 16, 1),
        values={"blockSize": 8},
        sizes={"current|next": 128 * 128},
        words={"size": (128, 128)},
    ),
    Host(  # sample/deferredRendering/main.ts
        path="deferredRendering/lightUpdate.wgsl",
        groups=(16, 1, 1),
        sizes={"lightsBuffer": 1024},
        words={"config": (1024,)},
    ),
    _ggml(
        "conv2d",
        groups=(2, 1, 1),
        sizes={"weights": 36},
        fields={
            "sw0": 1, "sw1": 3, "sw2": 9, "sw3": 18, "KW|KH": 3, "IC": 2, "IW|OW": 8, "IH|OH": 4,
            "OC_out|N_out": 2, "s0|s1|p0|p1|d0|d1": 1, "so0": 1,
        },
    ),
    _ggml(
        "im2col",
        groups=(18, 1, 1),
        sizes={"output": 1152},
        fields={
            "so0": 1, "so1": 18, "so2": 144, "so3": 576, "KW|KH": 3, "IC": 2, "IW|OW": 8,
            "IH|OH": 4, "N": 2, "s0|s1|p0|p1|d0|d1": 1,
        },
    ),
    _ggml(
        "upscale",
        groups=(8, 1, 1),
        sizes={"output": 512},
        fields={
            "so1": 16, "so2": 128, "so3": 256, "src_w": 8, "src_h": 4, "src_[zn]|dst_[zn]": 2,
            "dst_w": 16, "dst_h": 8,
        },
    ),
    _ggml(  # Four rows are named, none twice; a number of 64 bits is two words.
        "set_rows[.\\w]*I64",
        groups=(2, 1, 1),
        words={"idx": (3, 0, 0, 0, 2, 0, 1, 0)},
        fields={"idx[12]": 1},
    ),
    _ggml(
        "set_rows",
        groups=(2, 1, 1),
        words={"idx": (3, 0, 2, 1)},
        fields={"idx[12]": 1},
    ),
    _ggml("get_rows", groups=(2, 1, 1), words={"idx": (3, 0, 2, 1)}, fields={"idx[12]": 1}),
    _ggml("row_norm", groups=(16, 1, 1)),
    _ggml("(cpy|rope)", groups=(2, 1, 1)),
    _ggml(  # A workgroup has as many invocations as a state has numbers, here 64.
        "ssm_scan",
        groups=(8, 1, 1),
        words={"ids": (0, 1)},
        sizes={"s_in": 512, "x|dt": 64, "A": 128, "B|C": 512, "dst": 576},
        fields={
            "stride_(B|C|s)1": 64, "stride_(B|C)2": 64, "stride_(B|C)3": 256, "stride_s2": 128,
            "stride_s3": 256, "stride_x1": 2, "stride_x2": 4, "stride_x3": 16, "stride_dt1": 2,
            "stride_dt2": 8, "stride_A1": 64, "a_ne0": 64, "d_state": 64, "d_inner": 2,
            "n_head": 2, "n_group": 1, "n_seq_tokens": 4, "y_elems": 32, "K": 1,
        },
    ),
)  # fmt: skip


def host_of(file: Path) -> Host | None:
    """What a shader's own program dispatches it with, if that is known."""
    path = file.resolve().as_posix()
    return next((each for each in HOSTS if re.search(each.path + "$", path)), None)


def bytes_for(host: Host, binding: Binding) -> tuple[int | None, bytes | None]:
    """The elements of a binding, and its bytes; None for what the table does not say."""
    count = _of(host.sizes, binding.name)
    words = _of(host.words, binding.name)
    if words is not None:
        return count, np.array(words).astype(np.uint32).tobytes()
    if binding.space == "uniform" and isinstance(binding.type, Struct) and host.fields:
        return count, _packed(host, binding.type)
    return count, None


def _packed(host: Host, kind: Struct) -> bytes:
    made = bytearray(kind.size)
    for member in kind.members:
        value = _of(host.fields, member.name)
        if value is not None:
            of = np.float32 if str(member.type) == "f32" else np.uint32
            made[member.offset : member.offset + 4] = np.array([value]).astype(of).tobytes()
    return bytes(made)


def _of(table: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in table.items() if re.fullmatch(key, name)), None)
