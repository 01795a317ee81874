"""The calls of encoders, passes and the queue; and the table of all watched calls.

A draw's event names vertex, index and indirect buffers whole; no rule needs the parts of them that
the draw uses.
Nothing here calls a device.
"""

from typing import Any
from zlib import crc32

from gpusim.layer.calls import (
    Call,
    create_bind_group,
    create_buffer,
    create_encoder,
    create_pipeline,
    destroy_device,
    end_views,
    keep_view,
    know,
    know_bundle_encoder,
    know_group,
    know_layout,
    know_module,
    know_pipeline,
    know_pipeline_layout,
    map_buffer,
    of_buffer,
    promise_pipeline,
    read_mapped,
    settles_map,
)
from gpusim.layer.shaders import UNKNOWN
from gpusim.layer.watch import FINISHED, Bound, PassState, Range, Watch, bound_by

# Encoders and passes.


def _begin_pass(watch: Watch, encoder: Any, **_: Any) -> dict[str, Any]:
    return {"encoder": encoder._number(encoder), "pass": watch.next_number("pass")}


def _know_pass(watch: Watch, encoder: Any, about: dict[str, Any], made: Any, **_: Any) -> None:
    state = PassState(about["encoder"], about["pass"])
    watch.know(encoder._stand(made), about["pass"], state)


def _set_pipeline(watch: Watch, on: Any, pipeline: Any) -> None:
    state = watch.states[on.uid]
    known = watch.states.get(pipeline.uid)
    if known is not state.pipeline:
        state.pipeline, state.bound = known, None


def _set_bind_group(
    watch: Watch,
    on: Any,
    index: int,
    bind_group: Any,
    dynamic_offsets_data: Any = (),
    dynamic_offsets_data_start: int | None = None,
    dynamic_offsets_data_length: int | None = None,
) -> None:
    state = watch.states[on.uid]
    start, length = dynamic_offsets_data_start, dynamic_offsets_data_length
    offsets = tuple(dynamic_offsets_data)
    if start is not None and length is not None:
        offsets = offsets[start : start + length]
    group = None if bind_group is None else watch.states.get(bind_group.uid)
    if group is None:
        state.groups.pop(index, None)
        state.bound = None
        return
    was = state.groups.get(index)
    if was is None or was[0] is not group or was[1] != offsets:
        state.groups[index], state.bound = (group, offsets), None


def _dispatch(
    watch: Watch, on: Any, workgroup_count_x: int, workgroup_count_y: int = 1,
    workgroup_count_z: int = 1,
) -> dict[str, Any]:  # fmt: skip
    state = watch.states[on.uid]
    return {
        "encoder": state.encoder,
        "pass": state.number,
        "pipeline": state.pipeline.number if state.pipeline else 0,
        "bound": bound_by(state),
        "groups": (workgroup_count_x, workgroup_count_y, workgroup_count_z),
    }


def _dispatch_indirect(
    watch: Watch, on: Any, indirect_buffer: Any, indirect_offset: int
) -> dict[str, Any]:
    about = _dispatch(watch, on, 0)
    del about["groups"]
    return {**about, "indirect": (on._number(indirect_buffer), int(indirect_offset))}


def _end_pass(watch: Watch, on: Any) -> dict[str, Any]:
    state = watch.states.pop(on.uid)
    watch.numbers.pop(on.uid, None)
    return {"encoder": state.encoder, "pass": state.number}


def _copy(
    watch: Watch, encoder: Any, source: Any, source_offset: int, destination: Any,
    destination_offset: int, size: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "encoder": encoder._number(encoder),
        "source": encoder._number(source),
        "source_offset": int(source_offset),
        "target": encoder._number(destination),
        "target_offset": int(destination_offset),
        "size_bytes": source.size - int(source_offset) if size is None else int(size),
    }


def _clear(
    watch: Watch, encoder: Any, buffer: Any, offset: int = 0, size: int | None = None
) -> dict[str, Any]:
    return {
        "encoder": encoder._number(encoder),
        "buffer": encoder._number(buffer),
        "offset": int(offset),
        "size_bytes": buffer.size - int(offset) if size is None else int(size),
    }


def _use(
    watch: Watch, encoder: Any, call: str, reads: Any = (), writes: Any = ()
) -> dict[str, Any]:
    return {"encoder": encoder, "call": call, "reads": list(reads), "writes": list(writes)}


def _to_texture(watch: Watch, encoder: Any, source: Any, *_: Any) -> dict[str, Any]:
    read = _whole(encoder, source["buffer"], source.get("offset", 0))
    return _use_of(watch, encoder, "copy_buffer_to_texture", reads=[read])


def _from_texture(
    watch: Watch, encoder: Any, source: Any, destination: Any, *_: Any
) -> dict[str, Any]:
    write = _whole(encoder, destination["buffer"], destination.get("offset", 0))
    return _use_of(watch, encoder, "copy_texture_to_buffer", writes=[write])


def _resolve(
    watch: Watch, encoder: Any, query_set: Any, first_query: int, query_count: int,
    destination: Any, destination_offset: int,
) -> dict[str, Any]:  # fmt: skip
    write = (encoder._number(destination), int(destination_offset), 8 * int(query_count))
    return _use_of(watch, encoder, "resolve_query_set", writes=[write])


def _use_of(watch: Watch, encoder: Any, call: str, **ranges: Any) -> dict[str, Any]:
    return _use(watch, encoder._number(encoder), call, **ranges)


def _whole(encoder: Any, buffer: Any, offset: int) -> Range:
    return encoder._number(buffer), int(offset), buffer.size - int(offset)


def _finish(watch: Watch, encoder: Any, *, label: str = "") -> dict[str, Any]:
    return {
        "encoder": encoder._number(encoder),
        "command_buffer": watch.next_number("command_buffer"),
        "device": encoder._watched,
    }


def _know_commands(watch: Watch, encoder: Any, about: dict[str, Any], made: Any, **_: Any) -> None:
    watch.states[encoder.uid] = FINISHED
    watch.know(encoder._stand(made), about["command_buffer"])


# Rendering.


def _set_vertex_buffer(watch: Watch, on: Any, slot: int, buffer: Any, *_: Any, **__: Any) -> None:
    state = watch.states[on.uid]
    state.others[slot] = (on._number(buffer), 0, buffer.size)


def _set_index_buffer(watch: Watch, on: Any, buffer: Any, *_: Any, **__: Any) -> None:
    state = watch.states[on.uid]
    state.others["index"] = (on._number(buffer), 0, buffer.size)


def _bound_by_draw(watch: Watch, on: Any, arguments: Any) -> list[Bound]:
    state = watch.states[on.uid]
    bound = [*bound_by(state), *((*each, "read") for each in state.others.values())]
    buffers = [each for each in arguments if hasattr(each, "map_state")]
    return bound + [(on._number(each), 0, each.size, "read") for each in buffers]


def _use_bound(watch: Watch, on: Any, call: str, bound: list[Bound]) -> dict[str, Any]:
    writes = [each[:3] for each in bound if each[3] in ("read_write", UNKNOWN)]
    return _use(watch, watch.states[on.uid].encoder, call, [each[:3] for each in bound], writes)


def _draw(watch: Watch, on: Any, *arguments: Any, **_: Any) -> dict[str, Any]:
    return _use_bound(watch, on, "draw", _bound_by_draw(watch, on, arguments))


def _draw_in_bundle(watch: Watch, on: Any, *arguments: Any, **_: Any) -> dict[str, Any]:
    watch.states[on.uid].used += _bound_by_draw(watch, on, arguments)
    return {}


def _know_bundle(watch: Watch, on: Any, about: Any, made: Any, **_: Any) -> None:
    watch.know(on._stand(made), 0, list(watch.states[on.uid].used))


def _execute_bundles(watch: Watch, on: Any, bundles: Any) -> dict[str, Any]:
    bound = [each for bundle in bundles for each in watch.states.get(bundle.uid, ())]
    return _use_bound(watch, on, "execute_bundles", bound)


# The queue.


def _write_buffer(
    watch: Watch, queue: Any, buffer: Any, buffer_offset: int, data: Any, data_offset: int = 0,
    size: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    start = int(data_offset)
    length = memoryview(data).nbytes - start if not size else int(size)
    return {
        "buffer": queue._number(buffer),
        "offset": int(buffer_offset),
        "size_bytes": length,
        "digest": crc32(memoryview(data).cast("B")[start : start + length]) if length else 0,
        "device": queue._watched,
    }


def _submit(watch: Watch, queue: Any, command_buffers: Any) -> dict[str, Any]:
    return {
        "command_buffers": [queue._number(each) for each in command_buffers],
        "device": queue._watched,
    }


def _work_done(watch: Watch, queue: Any) -> dict[str, Any]:
    return {"work": watch.next_number("work"), "device": queue._watched}


def _settles_work(watch: Watch, queue: Any, about: dict[str, Any], promise: Any) -> None:
    queue._settles(promise, "settle_work_done", {"work": about["work"]})


_PIPELINE = Call(kind="create_pipeline", about=create_pipeline, after=know_pipeline)
_PIPELINE_LATER = Call(kind="create_pipeline", about=create_pipeline, after=promise_pipeline)
_SET = {
    "set_pipeline": Call(sets=_set_pipeline),
    "set_bind_group": Call(sets=_set_bind_group),
}
_SET_BUFFERS = {
    **_SET,
    "set_vertex_buffer": Call(sets=_set_vertex_buffer),
    "set_index_buffer": Call(sets=_set_index_buffer),
}
_DRAWS = (
    "draw",
    "draw_indirect",
    "draw_indexed",
    "draw_indexed_indirect",
    "_multi_draw_indirect",
    "_multi_draw_indexed_indirect",
    "_multi_draw_indirect_count",
    "_multi_draw_indexed_indirect_count",
)

CALLS: dict[str, dict[str, Call]] = {
    "GPUDevice": {
        "create_buffer": Call(kind="create_buffer", about=create_buffer, after=know("buffer")),
        "create_bind_group_layout": Call(after=know_layout),
        "create_pipeline_layout": Call(after=know_pipeline_layout),
        "create_shader_module": Call(after=know_module),
        "create_bind_group": Call(
            kind="create_bind_group", about=create_bind_group, after=know_group
        ),
        "create_compute_pipeline": _PIPELINE,
        "create_render_pipeline": _PIPELINE,
        "create_compute_pipeline_async": _PIPELINE_LATER,
        "create_render_pipeline_async": _PIPELINE_LATER,
        "create_command_encoder": Call(
            kind="create_encoder", about=create_encoder, after=know("encoder")
        ),
        "create_render_bundle_encoder": Call(after=know_bundle_encoder),
        "destroy": Call(kind="destroy_device", about=destroy_device),
    },
    "GPUBuffer": {
        "map_async": Call(kind="map", about=map_buffer, after=settles_map),
        "read_mapped": Call(kind="get_mapped_range", about=read_mapped, after=keep_view),
        "unmap": Call(kind="unmap", about=of_buffer, after=end_views),
        "destroy": Call(kind="destroy_buffer", about=of_buffer, after=end_views),
    },
    "GPUCommandEncoder": {
        "begin_compute_pass": Call(kind="begin_pass", about=_begin_pass, after=_know_pass),
        "begin_render_pass": Call(kind="begin_pass", about=_begin_pass, after=_know_pass),
        "copy_buffer_to_buffer": Call(kind="copy", about=_copy),
        "clear_buffer": Call(kind="clear", about=_clear),
        "copy_buffer_to_texture": Call(kind="use", about=_to_texture),
        "copy_texture_to_buffer": Call(kind="use", about=_from_texture),
        "resolve_query_set": Call(kind="use", about=_resolve),
        "finish": Call(kind="finish", about=_finish, after=_know_commands),
    },
    "GPUComputePassEncoder": {
        **_SET,
        "dispatch_workgroups": Call(kind="dispatch", about=_dispatch),
        "dispatch_workgroups_indirect": Call(kind="dispatch", about=_dispatch_indirect),
        "end": Call(kind="end_pass", about=_end_pass),
    },
    "GPURenderPassEncoder": {
        **_SET_BUFFERS,
        **dict.fromkeys(_DRAWS, Call(kind="use", about=_draw)),
        "execute_bundles": Call(kind="use", about=_execute_bundles),
        "end": Call(kind="end_pass", about=_end_pass),
    },
    "GPURenderBundleEncoder": {
        **_SET_BUFFERS,
        **dict.fromkeys(_DRAWS, Call(about=_draw_in_bundle)),
        "finish": Call(after=_know_bundle),
    },
    "GPUQueue": {
        "write_buffer": Call(kind="write_buffer", about=_write_buffer),
        "submit": Call(kind="submit", about=_submit),
        "on_submitted_work_done_async": Call(
            kind="work_done", about=_work_done, after=_settles_work
        ),
    },
}
"""Each watched class of WebGPU, by its name, and its watched methods."""

KINDS_OF_CLASSES = {
    "GPUBuffer": "buffer",
    "GPUCommandEncoder": "encoder",
    "GPUCommandBuffer": "command_buffer",
}
"""The classes whose objects make an event when Python collects them.

The value is the name of the object in that event.
"""
