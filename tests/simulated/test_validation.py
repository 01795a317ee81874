"""What is refused, and when: mapping, submits and encoder states, as tables.

After the WebGPU conformance suite's ``validation/buffer/mapping``,
``validation/queue/buffer_mapped``, ``validation/queue/submit``,
``validation/queue/destroyed`` and ``validation/encoding/encoder_state``.  Every
refusal stands beside a neighbour that is accepted.
"""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
import wgpu

from gpusim.devices import adapters
from gpusim.simulated import STRATEGIES, open_device, strategy
from tests.simulated.conformance.player import KERNELS, SWING
from tests.simulated.recording import bind, record

U = wgpu.BufferUsage
READ, WRITE = wgpu.MapMode.READ, wgpu.MapMode.WRITE
MAPPABLE = {READ: U.MAP_READ | U.COPY_DST, WRITE: U.MAP_WRITE | U.COPY_SRC}
MODES = tuple(MAPPABLE)
REFUSED = wgpu.GPUValidationError
REAL = [adapter for adapter in adapters() if adapter.native is not None]


@pytest.fixture(params=STRATEGIES)
def device(request: pytest.FixtureRequest) -> Any:
    return open_device(scheduler=strategy(request.param, 1))


def accepts(action: Callable[[], Any]) -> bool:
    """Whether an action, and a promise it gives, goes through."""
    try:
        made = action()
        if hasattr(made, "sync_wait"):
            made.sync_wait()
    except (REFUSED, RuntimeError, ValueError):
        return False
    return True


SINGLE_USAGES = [1 << bit for bit in range(10)]


@pytest.mark.parametrize("usage", SINGLE_USAGES)
@pytest.mark.parametrize("mode", [READ, WRITE, 0, READ | WRITE, 4])
def test_a_map_needs_its_usage(device: Any, mode: int, usage: int) -> None:
    buffer = device.create_buffer(size=16, usage=usage)
    valid = (mode, usage) in ((READ, U.MAP_READ), (WRITE, U.MAP_WRITE))
    assert accepts(lambda: buffer.map_async(mode)) == valid
    assert buffer.map_state == ("mapped" if valid else "unmapped")


RANGES = [
    # size of the buffer, offset, size of the range, whether it can be mapped
    (0, 0, None, True),
    (0, 8, None, False),
    (16, 0, None, True),
    (16, 8, None, True),
    (16, 16, None, True),
    (16, 17, None, False),
    (16, 24, None, False),
    (16, 4, 4, False),
    (16, 8, 2, False),
    (16, 8, 4, True),
    (0, 0, 0, True),
    (0, 0, 4, False),
    (0, 8, 0, False),
    (16, 0, 16, True),
    (16, 8, 16, False),
    (16, 16, 0, True),
    (16, 16, 4, False),
    (16, 8, 8, True),
    (16, 8, 12, False),
    (1024, 512, 512, True),
    (1024, 512, 516, False),
    (1024, 1024, 0, True),
]


@pytest.mark.parametrize(("size", "offset", "length", "valid"), RANGES)
@pytest.mark.parametrize("mode", MODES)
def test_a_map_fits_its_buffer(
    device: Any, mode: int, size: int, offset: int, length: Any, valid: bool
) -> None:
    buffer = device.create_buffer(size=size, usage=MAPPABLE[mode])
    assert accepts(lambda: buffer.map_async(mode, offset, length)) == valid


@pytest.mark.parametrize("mode", MODES)
def test_a_map_wants_an_unmapped_buffer(device: Any, mode: int) -> None:
    buffer = device.create_buffer(size=16, usage=MAPPABLE[mode], mapped_at_creation=True)
    assert not accepts(lambda: buffer.map_async(mode))
    buffer.unmap()
    assert accepts(lambda: buffer.map_async(mode))
    assert not accepts(lambda: buffer.map_async(mode))
    buffer.unmap()
    cancelled = buffer.map_async(mode)
    assert not accepts(lambda: buffer.map_async(mode))
    buffer.unmap()
    assert not accepts(lambda: cancelled)
    assert accepts(lambda: buffer.map_async(mode))
    buffer.destroy()
    assert not accepts(lambda: buffer.map_async(mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", ["mapped", "unmapped", "pending", "destroyed", "unmapped again"])
def test_bytes_are_reached_while_mapped_and_not_else(device: Any, mode: int, state: str) -> None:
    buffer = device.create_buffer(size=16, usage=MAPPABLE[mode])
    if state == "pending":
        buffer.map_async(mode)
    elif state != "unmapped":
        buffer.map_sync(mode)
    if state == "unmapped again":
        buffer.unmap()
    elif state == "destroyed":
        buffer.destroy()
    reach = buffer.read_mapped if mode == READ else lambda: buffer.write_mapped(bytes(16))
    assert accepts(reach) == (state == "mapped")


@pytest.mark.parametrize("usage", SINGLE_USAGES)
def test_any_buffer_may_be_mapped_at_creation(device: Any, usage: int) -> None:
    buffer = device.create_buffer(size=16, usage=usage, mapped_at_creation=True)
    buffer.write_mapped(bytes(16))
    buffer.unmap()
    assert not accepts(lambda: buffer.write_mapped(bytes(16)))


def use_written(device: Any, buffer: Any) -> None:
    device.queue.write_buffer(buffer, 0, bytes(4))


def use_source(device: Any, buffer: Any) -> None:
    _submit_copy(device, buffer, device.create_buffer(size=8, usage=U.COPY_DST))


def use_target(device: Any, buffer: Any) -> None:
    _submit_copy(device, device.create_buffer(size=8, usage=U.COPY_SRC), buffer)


def _submit_copy(device: Any, source: Any, target: Any) -> None:
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(source, 0, target, 0, 4)
    device.queue.submit([encoder.finish()])


USES = [(use_written, READ), (use_source, WRITE), (use_target, READ)]


@pytest.mark.parametrize(("use", "mode"), USES)
def test_a_mapping_keeps_the_queue_out(device: Any, use: Callable[..., None], mode: int) -> None:
    buffer, other = (device.create_buffer(size=8, usage=MAPPABLE[mode]) for _ in range(2))
    use(device, buffer)
    promise = buffer.map_async(mode)
    with pytest.raises(REFUSED):
        use(device, buffer)
    use(device, other)
    promise.sync_wait()
    with pytest.raises(REFUSED):
        use(device, buffer)
    buffer.unmap()
    use(device, buffer)
    born = device.create_buffer(size=8, usage=MAPPABLE[mode], mapped_at_creation=True)
    with pytest.raises(REFUSED):
        use(device, born)
    born.unmap()
    use(device, born)
    born.destroy()
    with pytest.raises(REFUSED):
        use(device, born)


STEPS = ("record", "map", "unmap", "finish", "submit")
ORDERS = [
    order
    for order in permutations(STEPS)
    if order.index("record") < order.index("finish") < order.index("submit")
    and order.index("map") < order.index("unmap")
]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_only_the_state_at_the_submit_counts(device: Any, order: tuple[str, ...]) -> None:
    buffer = device.create_buffer(size=4, usage=MAPPABLE[WRITE])
    target = device.create_buffer(size=4, usage=U.COPY_DST)
    encoder = device.create_command_encoder()
    commands: list[Any] = []
    steps: dict[str, Callable[[], Any]] = {
        "record": lambda: encoder.copy_buffer_to_buffer(buffer, 0, target, 0, 4),
        "map": lambda: buffer.map_sync(WRITE),
        "unmap": buffer.unmap,
        "finish": lambda: commands.append(encoder.finish()),
        "submit": lambda: device.queue.submit(commands),
    }
    mapped = order.index("map") < order.index("submit") < order.index("unmap")
    for step in order:
        if step == "submit" and mapped:
            with pytest.raises(REFUSED, match="mapped, or about to be"):
                steps[step]()
        else:
            steps[step]()


def dispatching(device: Any) -> tuple[Any, list[Any]]:
    """A command buffer with one dispatch, and the three buffers it binds."""
    module = device.create_shader_module(code=SWING.wgsl())
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
    buffers = [device.create_buffer(size=64, usage=U.STORAGE | U.UNIFORM) for _ in range(3)]
    group = bind(device, pipeline.get_bind_group_layout(0), *buffers)
    return record(device.create_command_encoder(), pipeline, group).finish(), buffers


@pytest.mark.parametrize("destroyed", [None, 0, 1, 2])
def test_a_submit_wants_every_bound_buffer(device: Any, destroyed: int | None) -> None:
    commands, buffers = dispatching(device)
    if destroyed is not None:
        buffers[destroyed].destroy()
    assert accepts(lambda: device.queue.submit([commands])) == (destroyed is None)


def test_a_command_buffer_is_submitted_once(device: Any) -> None:
    first, second = (device.create_command_encoder().finish() for _ in range(2))
    assert not accepts(lambda: device.queue.submit([first, first]))
    assert not accepts(lambda: device.queue.submit([first]))
    assert accepts(lambda: device.queue.submit([second]))
    assert not accepts(lambda: device.queue.submit([second]))
    assert accepts(lambda: device.queue.submit([]))


def test_a_refused_submit_spends_all_and_executes_none(device: Any) -> None:
    usage = U.COPY_SRC | U.COPY_DST
    buffer = device.create_buffer_with_data(data=b"abcd", usage=usage)
    gone = device.create_buffer(size=4, usage=usage)
    good, bad = device.create_command_encoder(), device.create_command_encoder()
    good.clear_buffer(buffer)
    bad.clear_buffer(gone)
    commands = [good.finish(), bad.finish()]
    gone.destroy()
    assert not accepts(lambda: device.queue.submit(commands))
    assert not accepts(lambda: device.queue.submit(commands[:1]))
    assert bytes(device.queue.read_buffer(buffer)) == b"abcd"


def test_a_submit_wants_its_own_device(device: Any) -> None:
    foreign = open_device().create_command_encoder().finish()
    assert not accepts(lambda: device.queue.submit([foreign]))


@pytest.mark.parametrize("ends", [(), (0,), (1,), (0, 1), (1, 0)])
def test_passes_may_not_nest(device: Any, ends: tuple[int, ...]) -> None:
    encoder = device.create_command_encoder()
    passes = [encoder.begin_compute_pass(), encoder.begin_compute_pass()]
    for index in ends:
        accepts(passes[index].end)
    assert not accepts(encoder.finish)


@pytest.mark.parametrize(("count", "ends", "finishes"), [(0, 0, False), (1, 1, True), (2, 1, True)])
def test_a_pass_ends_once(device: Any, count: int, ends: int, finishes: bool) -> None:
    encoder = device.create_command_encoder()
    compute_pass = encoder.begin_compute_pass()
    assert sum(accepts(compute_pass.end) for _ in range(count)) == ends
    assert accepts(encoder.finish) == finishes


def group(recorder: Any) -> None:
    recorder.push_debug_group("x")
    recorder.pop_debug_group()


ENCODER_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "copy": lambda encoder, b: encoder.copy_buffer_to_buffer(b[0], 0, b[1], 0, 4),
    "clear": lambda encoder, b: encoder.clear_buffer(b[1]),
    "begin": lambda encoder, b: encoder.begin_compute_pass().end(),
    "group": lambda encoder, b: group(encoder),
    "mark": lambda encoder, b: encoder.insert_debug_marker("x"),
}


@pytest.mark.parametrize("call", ENCODER_CALLS)
@pytest.mark.parametrize("state", ["open", "locked", "ended"])
def test_an_encoder_records_while_open(device: Any, call: str, state: str) -> None:
    """Locked: the call is silent and ``finish`` refuses.  Ended: the call itself raises."""
    usage = U.COPY_SRC | U.COPY_DST
    buffers = [device.create_buffer(size=4, usage=usage) for _ in range(2)]
    encoder = device.create_command_encoder()
    if state == "ended":
        encoder.finish()
        with pytest.raises(REFUSED, match="ended"):
            ENCODER_CALLS[call](encoder, buffers)
        return
    locking = encoder.begin_compute_pass() if state == "locked" else None
    ENCODER_CALLS[call](encoder, buffers)
    if locking is not None:
        accepts(locking.end)
    assert accepts(encoder.finish) == (state == "open")


PASS_CALLS: dict[str, Callable[[Any], Any]] = {
    "bind": lambda it: it.set_bind_group(0, None),
    "group": lambda it: group(it),
    "mark": lambda it: it.insert_debug_marker("x"),
}


@pytest.mark.parametrize("call", PASS_CALLS)
def test_a_pass_records_until_its_end(device: Any, call: str) -> None:
    encoder = device.create_command_encoder()
    compute_pass = encoder.begin_compute_pass()
    PASS_CALLS[call](compute_pass)
    compute_pass.end()
    with pytest.raises(REFUSED, match="ended"):
        PASS_CALLS[call](compute_pass)
    assert accepts(encoder.finish)


def test_one_bad_command_loses_the_whole_encoder(device: Any) -> None:
    usage = U.COPY_SRC | U.COPY_DST
    a, b = (device.create_buffer(size=8, usage=usage) for _ in range(2))
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(a, 0, b, 0, 8)
    encoder.copy_buffer_to_buffer(a, 0, b, 4, 8)
    encoder.copy_buffer_to_buffer(a, 0, b, 4, 4)
    with pytest.raises(REFUSED, match="passes the destination's end at 8"):
        encoder.finish()


@pytest.mark.parametrize(
    ("grid", "valid"),
    [((65_535, 1, 1), True), ((65_536, 1, 1), False), ((1, 65_536, 1), False), ((0, 0, 0), True)],
)
def test_a_grid_has_its_limit(device: Any, grid: tuple[int, int, int], valid: bool) -> None:
    module = device.create_shader_module(code=KERNELS[3].wgsl())
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
    bound = device.create_buffer(size=4, usage=U.STORAGE)
    group = bind(device, pipeline.get_bind_group_layout(0), bound)
    encoder = record(device.create_command_encoder(), pipeline, group, grid)
    assert accepts(encoder.finish) == valid


def _auto_pipelines(device: Any) -> list[Any]:
    """Two pipelines of one module, each with an automatic layout of its own."""
    module = device.create_shader_module(code=KERNELS[3].wgsl())
    return [
        device.create_compute_pipeline(layout="auto", compute={"module": module}) for _ in range(2)
    ]


@pytest.mark.parametrize(
    "adapter",
    [pytest.param(None, id="simulated"), *REAL],
    ids=lambda adapter: getattr(adapter, "name", None),
)
@pytest.mark.parametrize("made_for", ["itself", "its twin", "neither"])
def test_an_automatic_layout_fits_its_own_pipeline_alone(adapter: Any, made_for: str) -> None:
    """Specification, "group-equivalent": the layouts' exclusive pipelines are one pipeline."""
    device = open_device() if adapter is None else adapter.native.request_device_sync()
    pipeline, twin = _auto_pipelines(device)
    entry = {"binding": 0, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": "storage"}}
    layout = {
        "itself": pipeline.get_bind_group_layout(0),
        "its twin": twin.get_bind_group_layout(0),
        "neither": device.create_bind_group_layout(entries=[entry]),
    }[made_for]
    bound = device.create_buffer(size=4, usage=U.STORAGE)
    encoder = record(device.create_command_encoder(), pipeline, bind(device, layout, bound))
    assert accepts(encoder.finish) == (made_for == "itself")


def test_a_shader_that_wgsl_forbids_says_where() -> None:
    with pytest.raises(REFUSED, match=r"line 1, column 29: expected ';', found '}'"):
        open_device().create_shader_module(code="fn f() -> u32 { return 1u   }")
    open_device().create_shader_module(code=SWING.wgsl())
