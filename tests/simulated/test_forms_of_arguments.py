"""Arguments of a device's calls in each form that wgpu-py takes, and some that it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import wgpu

from gpusim.devices import adapters
from gpusim.simulated import open_device

U = wgpu.BufferUsage
CODE = """
override k: f32 = 2.0;
@group(0) @binding(0) var<uniform> a: u32;
@group(0) @binding(1) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(1) fn main() { x[0] = a * u32(k); }
"""
REAL = [adapter for adapter in adapters() if adapter.native is not None]


@pytest.fixture(params=["spec", "wgpu-native", *[adapter.name for adapter in REAL]])
def device(request: pytest.FixtureRequest) -> Any:
    """A simulated device of each profile, and one of each adapter."""
    for adapter in REAL:
        if adapter.name == request.param:
            return adapter.native.request_device_sync()
    return open_device(profile=request.param)


class Scene:
    """A dispatch that reads a word of 0 to 127 at a dynamic offset, times ``k``."""

    def __init__(self, device: Any) -> None:
        self.device = device
        self.words = device.create_buffer_with_data(
            data=np.arange(128, dtype=np.uint32), usage=U.UNIFORM | U.COPY_SRC
        )
        self.x = device.create_buffer(size=8, usage=U.STORAGE | U.COPY_SRC | U.COPY_DST)
        self.layout = device.create_bind_group_layout(
            entries=[
                wgpu.BindGroupLayoutEntry(
                    binding=0,
                    visibility="COMPUTE",
                    buffer=wgpu.BufferBindingLayout(type="uniform", has_dynamic_offset=True),
                ),
                {"binding": 1, "visibility": 4, "buffer": {"type": "storage"}},
            ]
        )

    def dispatch(
        self,
        offsets: tuple[Any, ...] = ((0,),),
        constants: Any = None,
        resource: Callable[..., Any] = dict,
    ) -> int:
        """The word that the dispatch gives."""
        device = self.device
        module = device.create_shader_module(code=CODE)
        pipeline = device.create_compute_pipeline(
            layout=device.create_pipeline_layout(bind_group_layouts=[self.layout]),
            compute={"module": module, "entry_point": "main", "constants": constants},
        )
        group = device.create_bind_group(
            layout=self.layout,
            entries=[
                {"binding": 0, "resource": resource(buffer=self.words, size=4)},
                wgpu.BindGroupEntry(binding=1, resource=resource(buffer=self.x)),
            ],
        )
        encoder = device.create_command_encoder()
        compute_pass = encoder.begin_compute_pass()
        compute_pass.set_pipeline(pipeline)
        compute_pass.set_bind_group(0, group, *offsets)
        compute_pass.dispatch_workgroups(1)
        compute_pass.end()
        device.queue.submit([encoder.finish()])
        return int(np.frombuffer(device.queue.read_buffer(self.x), np.uint32)[0])


@pytest.mark.parametrize("resource", [dict, wgpu.BufferBinding])
def test_a_range_of_a_buffer_is_a_dict_or_a_struct_of_wgpu(device: Any, resource: Any) -> None:
    assert Scene(device).dispatch(((256,),), resource=resource) == 128


@pytest.mark.parametrize(
    "offsets",
    [
        ([256],),
        (np.array([256], "u4"),),
        (np.array([0, 256], "i8")[1:],),
        (np.array([256], "u4").data,),
        (range(256, 257),),
        (np.array([0, 256], "u4"), 1, 1),
        ([0, 256], 1, 1),
    ],
    ids=repr,
)
def test_dynamic_offsets_are_any_sequence_of_numbers(device: Any, offsets: tuple[Any, ...]) -> None:
    assert Scene(device).dispatch(offsets) == 128


@pytest.mark.parametrize("offsets", [((), None, 0), ((), 0, None), ([256], None, 1)], ids=repr)
def test_offsets_have_both_a_start_and_a_length_or_none(
    device: Any, offsets: tuple[Any, ...]
) -> None:
    with pytest.raises(ValueError, match="both set or both None"):
        Scene(device).dispatch(offsets)


@pytest.mark.parametrize("constants", [{"k": 3}, {"k": 3.0}, {"k": np.float64(3)}], ids=repr)
def test_a_constant_is_a_number_of_python(device: Any, constants: Any) -> None:
    assert Scene(device).dispatch(((256,),), constants) == 192


@pytest.mark.parametrize(
    "constants", [{"k": "3"}, {"k": np.float32(3)}, {"k": np.int64(3)}, {2.5: 1}], ids=repr
)
def test_another_constant_is_refused(device: Any, constants: Any) -> None:
    with pytest.raises(AssertionError):
        Scene(device).dispatch(constants=constants)


@pytest.mark.parametrize("number", [int, float, np.int64])
def test_a_copy_takes_whole_numbers_of_any_type(device: Any, number: Callable[[int], Any]) -> None:
    scene = Scene(device)
    encoder = device.create_command_encoder()
    encoder.copy_buffer_to_buffer(scene.words, number(8), scene.x, number(4), number(4))
    device.queue.submit([encoder.finish()])
    assert np.frombuffer(device.queue.read_buffer(scene.x), np.uint32).tolist() == [0, 2]
    with pytest.raises(ValueError, match="source_offset must be a multiple of 4"):
        encoder.copy_buffer_to_buffer(scene.words, 0.5, scene.x, 0, 4)


def test_a_write_takes_only_what_lies_in_the_order_of_c(device: Any) -> None:
    scene = Scene(device)
    device.queue.write_buffer(scene.x, 0, np.array([[1], [2]], np.uint32))
    assert np.frombuffer(device.queue.read_buffer(scene.x), np.uint32).tolist() == [1, 2]
    with pytest.raises(BufferError):
        device.queue.write_buffer(scene.x, 0, np.zeros((2, 2), np.uint16).T)
    with pytest.raises(ValueError, match="not contiguous"):
        device.queue.write_buffer(scene.x, 0, np.zeros(4, np.uint32)[::2])
