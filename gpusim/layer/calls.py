"""The events of the watched calls of a device and its buffers; ``commands.py`` has the others.

A ``Call`` has an ``about``, which takes the method's arguments and gives the details of the event.
Its ``after`` remembers what the call made or set.  Arguments that ``about`` cannot read are left
for the device to refuse.  Nothing here calls a device.
"""

import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import wgpu

from gpusim.layer.shaders import access_of_layouts, access_of_wgsl, layout_of
from gpusim.layer.sites import call_site, is_inner
from gpusim.layer.watch import Group, PassState, Pipeline, Watch

About = Callable[..., dict[str, Any]]
After = Callable[..., Any]


def _nothing(watch: Watch, thing: Any, *_: Any, **__: Any) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """How one method is watched."""

    kind: str = ""
    """The kind of the method's event; empty if it has no event."""
    about: About = _nothing
    """Makes the event's details: ``about(watch, self, *arguments)``."""
    after: After | None = None
    """Called with (watch, self, details, result, *arguments) once the method has returned.

    If it returns something else than None, that is returned in the place of the result.
    """
    sets: Callable[..., None] | None = None
    """For a call that only sets something, in the place of ``about`` and ``after``.

    Called with (watch, self, *arguments).
    """


def _flags(of: Any) -> list[tuple[str, int]]:
    return [(name, int(getattr(of, name))) for name in dir(of) if name.isupper()]


_USAGES = _flags(wgpu.BufferUsage)


def usage_words(usage: int | str) -> list[str]:
    """The names of the bits of a buffer's usage, in the order of the alphabet."""
    if isinstance(usage, str):
        return sorted(usage.replace(" ", "").split("|"))
    return [name for name, bit in _USAGES if int(usage) & bit]


# The device.


def create_buffer(
    watch: Watch, device: Any, *, label: str = "", size: int, usage: int | str,
    mapped_at_creation: bool = False,
) -> dict[str, Any]:  # fmt: skip
    return {
        "buffer": watch.next_number("buffer"),
        "device": device._watched,
        "size_bytes": int(size),
        "usage": usage_words(usage),
        "mapped_at_creation": bool(mapped_at_creation),
        "label": label,
    }


def know(kind: str) -> After:
    def after(watch: Watch, maker: Any, about: dict[str, Any], made: Any, **_: Any) -> None:
        watch.know(maker._stand(made), about[kind])

    return after


def know_layout(
    watch: Watch, device: Any, about: Any, made: Any, *, label: str = "", entries: Any
) -> None:
    watch.know(device._stand(made), 0, layout_of(entries))


def know_pipeline_layout(
    watch: Watch, device: Any, about: Any, made: Any, *, bind_group_layouts: Any, **_: Any
) -> None:
    layouts = [watch.states.get(layout.uid, {}) for layout in bind_group_layouts if layout]
    watch.know(device._stand(made), 0, access_of_layouts(layouts))


def know_module(watch: Watch, device: Any, about: Any, made: Any, *, code: Any, **_: Any) -> None:
    watch.know(device._stand(made), 0, access_of_wgsl(code))


def create_pipeline(
    watch: Watch, device: Any, *, label: str = "", layout: Any, **stages: Any
) -> dict[str, Any]:
    access: dict[tuple[int, int], str] = {}
    modules = [stages[name]["module"] for name in ("compute", "vertex", "fragment")
               if stages.get(name)]  # fmt: skip
    for described in [layout] if hasattr(layout, "uid") else modules:
        access.update(watch.states.get(described.uid, {}))
    return {
        "pipeline": watch.next_number("pipeline"),
        "label": label,
        "access": {f"{group}.{binding}": word for (group, binding), word in access.items()},
    }


def know_pipeline(watch: Watch, device: Any, about: dict[str, Any], made: Any, **_: Any) -> None:
    places = ((place.split("."), word) for place, word in about["access"].items())
    access = {(int(group), int(binding)): word for (group, binding), word in places}
    state = Pipeline(about["pipeline"], access)
    watch.know(device._stand(made), about["pipeline"], state)


def promise_pipeline(watch: Watch, device: Any, about: Any, promise: Any, **_: Any) -> None:
    def take(made: Any) -> None:
        know_pipeline(watch, device, about, made)

    device._when_fulfilled(promise, take)


def create_bind_group(
    watch: Watch, device: Any, *, label: str = "", layout: Any, entries: Any
) -> dict[str, Any]:
    found = []
    for entry in entries:
        resource = entry["resource"]
        if hasattr(resource, "map_state"):
            found.append((entry["binding"], device._number(resource), 0, resource.size))
        elif hasattr(resource, "get") and resource.get("buffer") is not None:
            buffer, offset = resource["buffer"], resource.get("offset") or 0
            size = resource.get("size")
            size = buffer.size - offset if size is None else size
            found.append((entry["binding"], device._number(buffer), offset, size))
    return {"group": watch.next_number("group"), "entries": sorted(found)}


def know_group(
    watch: Watch, device: Any, about: dict[str, Any], made: Any, *, layout: Any, **_: Any
) -> None:
    state = watch.states.get(layout.uid, {})
    group = Group(tuple(about["entries"]), state if isinstance(state, dict) else {})
    watch.know(device._stand(made), about["group"], group)


def create_encoder(watch: Watch, device: Any, *, label: str = "") -> dict[str, Any]:
    return {
        "encoder": watch.next_number("encoder"),
        "device": device._watched,
        "label": label,
    }


def know_bundle_encoder(watch: Watch, device: Any, about: Any, made: Any, **_: Any) -> None:
    watch.know(device._stand(made), 0, PassState(0, 0))


def destroy_device(watch: Watch, device: Any) -> dict[str, Any]:
    return {"device": device._watched}


# Buffers.


def of_buffer(watch: Watch, buffer: Any) -> dict[str, Any]:
    return {"buffer": buffer._number(buffer)}


def map_buffer(
    watch: Watch, buffer: Any, mode: Any, offset: int | None = 0, size: int | None = None
) -> dict[str, Any]:
    if isinstance(mode, str):
        word = "READ" if mode.startswith("READ") else "WRITE"
    else:
        word = "READ" if int(mode) & wgpu.MapMode.READ else "WRITE"
    start = int(offset or 0)
    length = buffer.size - start if size is None else int(size)
    return {
        "map": watch.next_number("map"),
        "buffer": buffer._number(buffer),
        "mode": word,
        "offset": start,
        "size_bytes": length,
    }


def settles_map(
    watch: Watch, buffer: Any, about: dict[str, Any], promise: Any, *_: Any, **__: Any
) -> None:
    buffer._settles(promise, "settle_map", {"map": about["map"]})


def read_mapped(
    watch: Watch, buffer: Any, buffer_offset: int | None = None, size: int | None = None, *,
    copy: bool = True,
) -> dict[str, Any]:  # fmt: skip
    start = int(buffer_offset or 0)
    length = buffer.size - start if size is None else int(size)
    return {
        "buffer": buffer._number(buffer),
        "offset": start,
        "size_bytes": length,
        "copied": bool(copy),
    }


def keep_view(
    watch: Watch, buffer: Any, about: dict[str, Any], view: Any, *_: Any, copy: bool = True
) -> memoryview | None:
    """Returns, in the place of ``view``, a view of a new array over the same mapped memory.

    When the mapping ends, ``end_views`` releases the returned view.  If the array still exists
    then, the program still holds the memory.  Views that wgpu's own code takes are left alone.
    """
    if copy or is_inner(sys._getframe(2).f_code.co_filename):
        return None
    holder = np.frombuffer(view, np.uint8)
    handed = holder.data
    kept = (call_site(), handed, weakref.ref(holder))
    watch.views.setdefault(buffer.uid, []).append(kept)
    return handed


def end_views(watch: Watch, buffer: Any, about: dict[str, Any], result: Any) -> None:
    """Emit an event for each view of an ended mapping that somebody still holds."""
    for site, handed, holder in watch.views.pop(buffer.uid, ()):
        with suppress(BufferError):
            handed.release()
        if holder() is not None:
            watch.emit("keep_view", {"buffer": about["buffer"], "view_site": site})
