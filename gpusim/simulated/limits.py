"""The limits of a simulated device, under the names that wgpu-py gives them.

Data and its checks; nothing here knows a device.
Source: WebGPU specification, section 3.6.2 "Limits"; the last four are wgpu-native's.
"""

from collections.abc import Mapping

DEFAULT_LIMITS: Mapping[str, int] = {
    "max-bind-groups": 4,
    "max-bind-groups-plus-vertex-buffers": 24,
    "max-bindings-per-bind-group": 1000,
    "max-buffer-size": 268_435_456,
    "max-color-attachment-bytes-per-sample": 32,
    "max-color-attachments": 8,
    "max-compute-invocations-per-workgroup": 256,
    "max-compute-workgroup-size-x": 256,
    "max-compute-workgroup-size-y": 256,
    "max-compute-workgroup-size-z": 64,
    "max-compute-workgroup-storage-size": 16_384,
    "max-compute-workgroups-per-dimension": 65_535,
    "max-dynamic-storage-buffers-per-pipeline-layout": 4,
    "max-dynamic-uniform-buffers-per-pipeline-layout": 8,
    "max-immediate-size": 64,
    "max-inter-stage-shader-variables": 16,
    "max-sampled-textures-per-shader-stage": 16,
    "max-samplers-per-shader-stage": 16,
    "max-storage-buffer-binding-size": 134_217_728,
    "max-storage-buffers-per-shader-stage": 8,
    "max-storage-textures-per-shader-stage": 4,
    "max-texture-array-layers": 256,
    "max-texture-dimension-1d": 8192,
    "max-texture-dimension-2d": 8192,
    "max-texture-dimension-3d": 2048,
    "max-uniform-buffer-binding-size": 65_536,
    "max-uniform-buffers-per-shader-stage": 12,
    "max-vertex-attributes": 16,
    "max-vertex-buffer-array-stride": 2048,
    "max-vertex-buffers": 8,
    "min-storage-buffer-offset-alignment": 256,
    "min-uniform-buffer-offset-alignment": 256,
    "max-binding-array-elements-per-shader-stage": 0,
    "max-binding-array-sampler-elements-per-shader-stage": 0,
    "max-multiview-view-count": 0,
    "max-non-sampler-bindings": 1_000_000,
}


def limits_with(supported: Mapping[str, int], wanted: Mapping[str, int | None]) -> dict[str, int]:
    """``supported`` limits with those ``wanted`` put in.

    Raises:
        KeyError: a name that is no limit.
        RuntimeError: a value better than what is supported (wgpu-py's class).
    """
    limits = dict(supported)
    for name, value in wanted.items():
        key = _canonical(name, supported)
        if value is None:
            continue
        better = value < supported[key] if key.startswith("min-") else value > supported[key]
        if better:
            raise RuntimeError(
                f"cannot request a device with {key}={value} because the adapter supports "
                f"{supported[key]} (probably a limit of another adapter)"
            )
        limits[key] = value
    return limits


def _canonical(name: str, known: Mapping[str, int]) -> str:
    snake = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    for spelling in (name, name.replace("_", "-"), snake):
        if spelling in known:
            return spelling
    raise KeyError(f"Unknown limit name '{name}'")
