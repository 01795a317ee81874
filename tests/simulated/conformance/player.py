"""Playing raw calls on a device, real or simulated, and writing down what each shows.

The same code drives both, so that what they show can be held side by side.
Nothing here knows which device it has, or judges anything.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import wgpu

from gpusim.kernels import AFFINE, FOLD, SCRAMBLE, Binding, Kernel, Scalar
from tests.simulated.conformance.calls import Call

U = wgpu.BufferUsage
_ALL = U.STORAGE | U.COPY_SRC | U.COPY_DST
SIZES = (256, 1024, 64, 16, 512, 6, 0, 2, 1 << 21, -4)
USAGES = (
    _ALL,
    U.UNIFORM | U.COPY_DST,
    U.MAP_READ | U.COPY_DST,
    _ALL | U.INDIRECT | U.UNIFORM,
    U.MAP_WRITE | U.COPY_SRC,
    U.STORAGE,
    0,
    U.MAP_READ | U.STORAGE,
    U.MAP_WRITE | U.COPY_DST,
    U.MAP_READ | U.MAP_WRITE,
    1 << 14,
    U.COPY_SRC,
    U.COPY_DST,
    U.UNIFORM,
)
OFFSETS = (0, 8, 0, 16, 4, 2, 300, -8)
LENGTHS = (16, 64, 8, None, 0, 6, 2000)
WRITE_LENGTHS = (16, 64, 4, 256, 0, 7)
BIND_OFFSETS = (0, 0, 256, 0, 128, 2048)
BIND_SIZES = (64, None, 256, 16, 0, 6)
DYNAMIC = ((), (), (), (0,), (256,), (128,), (0, 0), (4096,))
GRIDS = (1, 2, 0, 3, 65_536, -1)
MODES: tuple[Any, ...] = (1, "READ", 2, 1, 3, 0)
CONSTANTS: tuple[Any, ...] = (None, {}, {"k": 1.0}, {"k": np.float32(1)}, {"k": "1"}, {1.5: 2})
NUMBER_FORMS: tuple[Callable[[Any], Any], ...] = (int, float, np.int64)
OFFSET_FORMS: tuple[Callable[[Any], tuple[Any, ...]], ...] = (
    lambda offsets: (offsets,),
    lambda offsets: ([*offsets],),
    lambda offsets: (np.array(offsets, "u4"),),
    lambda offsets: (np.array((8, *offsets, 8), "i8"), 1, len(offsets)),
    lambda offsets: (offsets, None, len(offsets)),
)
"""The forms of dynamic offsets, with their start and length; the last lacks its start."""
DATA_FORMS: tuple[Callable[[bytes], Any], ...] = (
    lambda data: data,
    bytearray,
    lambda data: np.frombuffer(data, "u1"),
    lambda data: np.frombuffer(data, "u1").reshape(1, len(data)),
    lambda data: np.frombuffer(data * 2, "u1").reshape(2, len(data)).T,
    lambda data: np.frombuffer(data * 2, "u1")[::2],
)
"""The forms of the data of a write; the last two are not contiguous."""


def _swing(arrays: tuple[Any, ...], scalars: tuple[Any, ...], groups: int) -> None:
    x, y = arrays
    (a,) = scalars
    n = min(len(x), len(y), groups * 64)
    x[:n] = x[:n] * a + y[:n]
    y[:n] = y[:n] ^ x[:n]


SWING = Kernel(
    name="swing",
    buffers=(Binding(name="x", access="read_write"), Binding(name="y", access="read_write")),
    scalars=(Scalar(name="a"),),
    body=(
        "    if (i < min(arrayLength(&x), arrayLength(&y))) {\n"
        "        x[i] = x[i] * args.a + y[i];\n"
        "        y[i] = y[i] ^ x[i];\n"
        "    }"
    ),
    meaning=_swing,
)
"""x <- a*x + y, then y <- y xor x: two writable buffers, to alias."""
KERNELS = (SWING, AFFINE, FOLD, SCRAMBLE)
LIMITS = {
    "max-bind-groups": 4,
    "max-bindings-per-bind-group": 640,
    "max-buffer-size": 1 << 20,
    "max-storage-buffer-binding-size": 1 << 10,
    "max-uniform-buffer-binding-size": 1 << 9,
    "max-storage-buffers-per-shader-stage": 4,
    "max-uniform-buffers-per-shader-stage": 3,
    "max-dynamic-storage-buffers-per-pipeline-layout": 2,
    "max-dynamic-uniform-buffers-per-pipeline-layout": 2,
    "min-storage-buffer-offset-alignment": 256,
    "min-uniform-buffer-offset-alignment": 256,
}
"""What both devices are asked for, so that every limit is within reach."""


def _entry(binding: int, kind: str, visibility: int = 4, **more: Any) -> dict[str, Any]:
    return {"binding": binding, "visibility": visibility, "buffer": {"type": kind, **more}}


_SWING_LAYOUT = [_entry(0, "storage"), _entry(1, "storage"), _entry(2, "uniform")]
LAYOUTS: tuple[list[dict[str, Any]], ...] = (
    _SWING_LAYOUT,
    [_entry(0, "storage"), _entry(1, "uniform")],
    [_entry(0, "read-only-storage"), _entry(1, "storage"), _entry(2, "uniform")],
    [_entry(0, "storage")],
    [_entry(0, "storage"), _entry(1, "uniform", has_dynamic_offset=True)],
    [_entry(0, "storage"), _entry(1, "storage"), _entry(2, "uniform", min_binding_size=4)],
    [_entry(0, "storage", has_dynamic_offset=True), _entry(1, "uniform")],
    [],
    [_entry(3, "uniform")],
    [_entry(0, "storage"), _entry(0, "uniform")],
    [_entry(640, "storage")],
    [_entry(n, "storage") for n in range(5)],
    [_entry(n, "uniform") for n in range(4)],
    [_entry(n, "storage", has_dynamic_offset=True) for n in range(3)],
    [_entry(0, "storage", visibility=8)],
    [{"binding": 0, "visibility": 4}],
)
ABORTS = "aborts the process"
"""What an error says where wgpu-native would have ended the process."""


class Skip(Exception):
    """There is no object yet for the call to work on."""


class Player:
    """Plays calls on ``device``; ``other`` makes a second device for foreign objects."""

    def __init__(self, device: Any, other: Callable[[], Any]) -> None:
        self._device = device
        self._other = other
        self._made: dict[str, list[Any]] = {}
        self._lost = False
        self._writes = 0

    def play(self, calls: Iterable[Call]) -> Iterator[str]:
        """What each call shows: ``ok``, ``ok <value>``, ``skip``, ``abort``, or an error class.

        Nothing follows an ``abort``.
        """
        for call in calls:
            shown = self._show(call)
            yield shown
            if shown == "abort":
                return

    def _show(self, call: Call) -> str:
        try:
            value = getattr(self, f"_{call.method}")(*call.numbers)
        except Skip:
            return "skip"
        except Exception as error:
            return "abort" if ABORTS in str(error) else type(error).__name__
        return "ok" if value is None else f"ok {value}"

    def _keep(self, kind: str, thing: Any) -> None:
        self._made.setdefault(kind, []).append(thing)

    def _get(self, kind: str, back: int) -> Any:
        """The thing of a kind that was made ``back`` before the last."""
        things = self._made.get(kind)
        if not things:
            raise Skip
        return things[-1 - back % len(things)]

    def _create_buffer(self, size: int, usage: int, mapped: int) -> None:
        buffer = self._device.create_buffer(
            size=SIZES[size], usage=USAGES[usage], mapped_at_creation=mapped == 5
        )
        self._keep("buffer", buffer)
        if buffer.usage & (U.MAP_READ | U.MAP_WRITE) or buffer.map_state == "mapped":
            self._keep("mappable", buffer)
        if buffer.map_state == "mapped":
            self._keep("mapped", buffer)

    def _destroy(self, buffer: int) -> None:
        destroyed = self._mapped(buffer - 3) if buffer > 2 else self._get("buffer", buffer)
        if destroyed.map_state == "pending":
            raise Skip  # whether the map has settled by now is a race on a real device
        destroyed.destroy()

    def _write_buffer(
        self, buffer: int, offset: int, length: int, skip: int, size: int, form: int
    ) -> None:
        target = self._get("buffer", buffer)
        data = DATA_FORMS[form](self._data(WRITE_LENGTHS[length]))
        more = {} if size < 4 else {"size": (4, 0)[size - 4]}
        skipped = (0, 0, 0, 0, 4, 8)[skip]
        self._device.queue.write_buffer(target, OFFSETS[offset], data, skipped, **more)

    def _map_async(self, buffer: int, mode: int, offset: int, size: int) -> None:
        kind = "mappable" if buffer < 6 and "mappable" in self._made else "buffer"
        mapped = self._get(kind, buffer)
        modes = MODES if mapped.usage & U.MAP_READ else (2, "WRITE", 1, 2, 3, 0)
        self._keep("mapped", mapped)
        promise = mapped.map_async(modes[mode], OFFSETS[offset], LENGTHS[size])
        self._keep("promise", promise)

    def _wait(self, promise: int) -> None:
        """On a lost device a real map may have settled before the loss, or never will."""
        if self._lost:
            raise Skip
        self._get("promise", promise).sync_wait()

    def _unmap(self, buffer: int) -> None:
        self._mapped(buffer).unmap()

    def _read_mapped(self, buffer: int, offset: int, size: int) -> str:
        data = self._mapped(buffer).read_mapped(OFFSETS[offset], LENGTHS[size])
        return bytes(data).hex()

    def _write_mapped(self, buffer: int, offset: int, length: int) -> None:
        data = self._data(WRITE_LENGTHS[length])
        self._mapped(buffer).write_mapped(data, OFFSETS[offset])

    def _mapped(self, back: int) -> Any:
        """A buffer that was mapped once, or now and then any."""
        return self._get("mapped" if back < 5 and "mapped" in self._made else "buffer", back)

    def _map_state(self, buffer: int) -> str:
        return str(self._get("buffer", buffer).map_state)

    def _read_buffer(self, buffer: int, offset: int, size: int) -> str:
        source = self._get("buffer", buffer)
        return bytes(self._device.queue.read_buffer(source, OFFSETS[offset], LENGTHS[size])).hex()

    def _create_layout(self, layout: int) -> None:
        self._keep("layout", self._device.create_bind_group_layout(entries=LAYOUTS[layout]))
        self._keep("entries", LAYOUTS[layout])

    def _create_bind_group(
        self, layout: int, first: int, second: int, offset: int, size: int, wrong: int, form: int
    ) -> None:
        """Bind two buffers in turn; the ranges of one buffer are equal or apart."""
        make_entry, make_range = ((dict, dict), (wgpu.BindGroupEntry, wgpu.BufferBinding))[form]
        chosen, entries = self._get("layout", layout), self._get("entries", layout)
        bound = []
        for place, entry in enumerate(entries):
            buffer = self._bindable(entry, (first, second)[place % 2], wrong)
            resource = {"buffer": buffer, "offset": BIND_OFFSETS[offset]}
            if BIND_SIZES[size] is not None:
                resource["size"] = BIND_SIZES[size]
            bound.append({"binding": entry["binding"], "resource": make_range(**resource)})
        if wrong == 4:
            bound = bound[1:]
        elif wrong == 5 and bound:
            bound[-1]["binding"] += 7
        made = [make_entry(**entry) for entry in bound]
        group = self._device.create_bind_group(layout=chosen, entries=made)
        self._keep("group", group)

    def _bindable(self, entry: dict[str, Any], back: int, wrong: int) -> Any:
        """A buffer with the usage of an entry, unless another one is wanted."""
        uniform = entry.get("buffer", {}).get("type") == "uniform"
        usage = U.UNIFORM if uniform else U.STORAGE
        buffers = self._made.get("buffer", [])
        fitting = [buffer for buffer in buffers if buffer.usage & usage and buffer.size > 8]
        if wrong == 3 or not fitting:
            return self._get("buffer", back)
        return fitting[-1 - back % len(fitting)]

    def _create_pipeline_layout(self, layout: int, count: int) -> None:
        layouts = [self._get("layout", layout)] * (1, 0, 2, 5)[count]
        made = self._device.create_pipeline_layout(bind_group_layouts=layouts)
        self._keep("pipeline layout", made)

    def _create_pipeline(self, kernel: int, layout: int, entry: int, constants: int) -> None:
        chosen = "auto" if kernel >= 4 else self._get("pipeline layout", layout)
        code = KERNELS[kernel % 4].wgsl()
        module = self._device.create_shader_module(code=code)
        name = ("main", "main", None, "nothing")[entry]
        compute = {"module": module, "entry_point": name, "constants": CONSTANTS[constants]}
        made = self._device.create_compute_pipeline(layout=chosen, compute=compute)
        self._keep("pipeline", made)

    def _create_shader_module(self, code: int) -> None:
        self._device.create_shader_module(code=(SWING.wgsl(), "@compute fn (", 7)[code])

    def _auto_layout(self, pipeline: int, index: int) -> None:
        layout = self._get("pipeline", pipeline).get_bind_group_layout((0, 0, 1, 3, 4, 9)[index])
        if index < 2:
            self._keep("layout", layout)
            self._keep("entries", _SWING_LAYOUT)

    def _create_encoder(self) -> None:
        self._keep("encoder", self._device.create_command_encoder())

    def _begin_pass(self, encoder: int) -> None:
        self._keep("pass", self._get("encoder", encoder).begin_compute_pass())

    def _set_pipeline(self, compute_pass: int, pipeline: int) -> None:
        self._get("pass", compute_pass).set_pipeline(self._get("pipeline", pipeline))

    def _set_bind_group(
        self, compute_pass: int, index: int, group: int, offsets: int, form: int
    ) -> None:
        chosen = self._get("group", group)
        place = (0, 0, 1, 3, 4, -1)[index]
        self._get("pass", compute_pass).set_bind_group(
            place, chosen, *OFFSET_FORMS[form](DYNAMIC[offsets])
        )

    def _dispatch(self, compute_pass: int, x: int, y: int) -> None:
        self._get("pass", compute_pass).dispatch_workgroups(GRIDS[x], (1, 1, 1, 2, 0, 1)[y])

    def _dispatch_indirect(self, compute_pass: int, buffer: int, offset: int) -> None:
        source = self._get("buffer", buffer)
        self._get("pass", compute_pass).dispatch_workgroups_indirect(source, OFFSETS[offset])

    def _end(self, compute_pass: int) -> None:
        self._get("pass", compute_pass).end()

    def _copy(
        self, encoder: int, source: int, target: int, start: int, to: int, size: int, form: int
    ) -> None:
        recorder = self._get("encoder", encoder)
        buffers = self._get("buffer", source), self._get("buffer", target)
        number, length = NUMBER_FORMS[form], LENGTHS[size]
        recorder.copy_buffer_to_buffer(
            buffers[0],
            number(OFFSETS[start]),
            buffers[1],
            number(OFFSETS[to]),
            None if length is None else number(length),
        )

    def _clear(self, encoder: int, buffer: int, offset: int, size: int) -> None:
        cleared = self._get("buffer", buffer)
        self._get("encoder", encoder).clear_buffer(cleared, OFFSETS[offset], LENGTHS[size])

    def _debug(self, encoder: int, verb: int) -> None:
        recorder = self._get("encoder", encoder)
        if verb == 0:
            recorder.push_debug_group("here")
        elif verb == 1:
            recorder.pop_debug_group()
        else:
            recorder.insert_debug_marker("here")

    def _finish(self, encoder: int) -> None:
        self._keep("commands", self._get("encoder", encoder).finish())

    def _submit(self, first: int, second: int, how: int) -> None:
        commands = self._get("commands", first)
        more = [self._get("commands", second)] if how == 7 else []
        self._device.queue.submit([] if how == 6 else [commands, *more])

    def _work_done(self) -> None:
        self._device.queue.on_submitted_work_done_async().sync_wait()

    def _use_foreign(self, how: int, buffer: int) -> None:
        """Another device's buffer, or command buffer, where ours belongs."""
        foreign = self._other()
        theirs = foreign.create_buffer(size=256, usage=_ALL)
        if how < 4:
            self._device.queue.write_buffer(theirs, 0, bytes(16))
        elif how < 7:
            encoder = self._device.create_command_encoder()
            encoder.copy_buffer_to_buffer(theirs, 0, self._get("buffer", buffer), 0, 16)
            encoder.finish()
        else:
            self._device.queue.submit([foreign.create_command_encoder().finish()])

    def _lose(self) -> None:
        self._lost = True
        self._device.destroy()

    def _data(self, length: int) -> bytes:
        """Bytes that no other write has."""
        self._writes += 1
        return bytes((self._writes * 37 + place * 11) % 256 for place in range(length))
