"""Textures can be created and viewed, so that compute programs which have one can run.

They have no content.  Everything that would use one is refused: a layout of textures, a copy, a
render pass.  Source: WebGPU specification, section 6 "Textures".
"""

from collections.abc import Sequence
from typing import Any

import wgpu

from gpusim.simulated.buffer import flag_bits
from gpusim.simulated.profile import invalid, unsigned
from gpusim.simulated.state import DeviceState, next_uid


class GPUTexture:
    """A texture without content; made by ``GPUDevice.create_texture``."""

    def __init__(
        self,
        device: DeviceState,
        label: str,
        size: tuple[int, int, int],
        about: dict[str, Any],
    ) -> None:
        self._device = device
        self.label = label
        self.uid = next_uid()
        self.size = size
        self.width, self.height, self.depth_or_array_layers = size
        self.mip_level_count: int = about["mip_level_count"]
        self.sample_count: int = about["sample_count"]
        self.dimension: str = about["dimension"]
        self.format: str = about["format"]
        self.usage: int = about["usage"]

    def create_view(self, *, label: str = "", **about: Any) -> "GPUTextureView":
        """A view; its arguments are not checked."""
        return GPUTextureView(self, label)

    def destroy(self) -> None:
        """Do nothing: there is no memory to give back."""


class GPUTextureView:
    """A view of a texture; made by ``GPUTexture.create_view``."""

    def __init__(self, texture: GPUTexture, label: str) -> None:
        self._device = texture._device
        self.texture = texture
        self.label = label
        self.uid = next_uid()
        self.size = texture.size


def make_texture(device: DeviceState, label: str, size: Any, about: dict[str, Any]) -> GPUTexture:
    """A checked texture; GPUValidationError if its size or usage is not valid."""
    doing = "create a texture"
    extent = _extent(size)
    usage = about["usage"]
    bits = flag_bits(wgpu.TextureUsage, usage) if isinstance(usage, str) else int(usage)
    if not bits:
        raise invalid(doing, "its usage is 0", "the flags were forgotten")
    dimension = about["dimension"]
    limit = device.limits[f"max-texture-dimension-{dimension}"]
    if min(extent) < 1 or extent[0] > limit:
        raise invalid(doing, f"its size is {extent}, and {limit} is the most", "a wrong size")
    return GPUTexture(device, label, extent, {**about, "usage": bits})


def _extent(size: Any) -> tuple[int, int, int]:
    if isinstance(size, dict):
        given: Sequence[Any] = (
            size["width"],
            size.get("height", 1),
            size.get("depth_or_array_layers", 1),
        )
    else:
        given = (*size, 1, 1)[:3]
    width, height, depth = (unsigned(int(each), 32) for each in given)
    return width, height, depth
