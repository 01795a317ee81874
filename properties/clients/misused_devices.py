"""Devices on which no runtime can be made, since its own kernels need more.

The rows are like those in ``misuses``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gpusim import NoDevice, Runtime
from gpusim.simulated import open_device
from properties.clients.forbidden import Row

LEAST: Mapping[str, int] = {
    "max-storage-buffers-per-shader-stage": 2,
    "max-uniform-buffers-per-shader-stage": 1,
    "max-dynamic-uniform-buffers-per-pipeline-layout": 1,
    "max-uniform-buffer-binding-size": 24,
    "max-bindings-per-bind-group": 3,
    "max-compute-workgroup-size-x": 64,
    "max-compute-invocations-per-workgroup": 64,
    "max-storage-buffer-binding-size": 264,
}
"""The least limits of a device with which bytes can be copied, by wgpu-py's names."""


def _rows() -> Iterator[Row]:
    for name, least in LEAST.items():

        def make(_: Any, name: str = name, least: int = least) -> None:
            Runtime(open_device(limits={name: least - 1})).close()

        yield f"a device with a {name} of {least - 1}", make, NoDevice, "cannot make a runtime"


DEVICES: list[Row] = [*_rows()]
