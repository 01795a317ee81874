"""Shows, with wgpu-py alone, what three shaders that people ship do on each adapter.

    python targets/wgpu/shipped.py boids CHECKOUT     # of webgpu-samples
    python targets/wgpu/shipped.py copy CHECKOUT      # of ggml
    python targets/wgpu/shipped.py merge MODEL.wasm   # a model of web-llm, such as q4f16_1 or q0f16

Each is dispatched as its own program does it; with ``--change`` behind, so is the shader with the
change that mends it.  The reports are in docs/findings: samples-boids-past-end.md,
ggml-copy-half.md and tvm-merge-race.md.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import wgpu

PARTICLES = 1500
ELEMENTS = 17_000_000
MOST_GROUPS = 65535
TOKENS, HEADS, NUMBERS = 8, 4, 64
UNIFORM_BYTES = 100
"""What is shorter is a uniform buffer."""
Run = Callable[[str, list[Any], tuple[int, int]], list[Any]]


def runner(adapter: Any) -> Run:
    """What dispatches a text over arrays, bound in order, and gives them as they are then."""

    def run(text: str, arrays: list[Any], groups: tuple[int, int]) -> list[Any]:
        features = ["shader-f16"] if "enable f16" in text else []
        device = adapter.request_device_sync(required_features=features)
        module = device.create_shader_module(code=text)
        pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module})
        usage = wgpu.BufferUsage
        kinds = [
            usage.UNIFORM if each.nbytes < UNIFORM_BYTES else usage.STORAGE | usage.COPY_SRC
            for each in arrays
        ]
        buffers = [
            device.create_buffer_with_data(data=array, usage=kind)
            for array, kind in zip(arrays, kinds, strict=True)
        ]
        entries = [
            {"binding": at, "resource": {"buffer": buffer}} for at, buffer in enumerate(buffers)
        ]
        group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
        encoder = device.create_command_encoder()
        commands = encoder.begin_compute_pass()
        commands.set_pipeline(pipeline)
        commands.set_bind_group(0, group)
        commands.dispatch_workgroups(*groups)
        commands.end()
        device.queue.submit([encoder.finish()])
        return [
            np.frombuffer(device.queue.read_buffer(buffer), array.dtype)
            for buffer, array, kind in zip(buffers, arrays, kinds, strict=True)
            if kind != usage.UNIFORM
        ]

    return run


def boids(checkout: Path, run: Run, is_changed: bool) -> str:
    """The last two particles after a step: adapters agree on one of them."""
    text = (checkout / "sample/computeBoids/updateSprites.wgsl").read_text("utf-8")
    if is_changed:
        guard = " if (index >= arrayLength(&particlesA.particles)) { return; }"
        text = text.replace("GlobalInvocationID.x;", "GlobalInvocationID.x;" + guard)
    scale = np.array([1, 1, 0.1, 0.1])
    particles = 2 * (np.random.default_rng(1).random((PARTICLES, 4)) - 0.5) * scale
    words = particles.astype(np.float32).reshape(-1)
    params = np.array([0.04, 0.1, 0.025, 0.025, 0.02, 0.05, 0.005], np.float32)
    _, after = run(text, [params, words, words.copy()], (-(-PARTICLES // 64), 1))
    return f"particle 1498 {after[-8:-4]}, particle 1499 {after[-4:]}"


def copy(checkout: Path, run: Run, is_changed: bool) -> str:
    """How many of the elements of a copy are not there."""
    text = (checkout / "src/ggml-webgpu/wgsl-shaders/cpy.wgsl").read_text("utf-8")
    text = re.sub(r"^(#.*|enable f16;)$", "", text, flags=re.MULTILINE)
    text = re.sub("SRC_TYPE|DST_TYPE", "i32", text).replace("WG_SIZE", "256")
    if is_changed:
        head, _, body = text.partition(") {\n    if (gid.x")
        counts = "@builtin(num_workgroups) count: vec3u) {\n"
        linear = "    let at = gid.x + 256u * count.x * gid.y;\n    if (gid.x"
        text = head + counts + (linear + body).replace("(gid.x", "(at").replace("= gid.x;", "= at;")
    total = -(-ELEMENTS // 256)
    height = -(-total // MOST_GROUPS)
    source = np.arange(1, ELEMENTS + 1, dtype=np.int32)
    row, shape = [1, ELEMENTS, ELEMENTS, ELEMENTS], [ELEMENTS, 1, 1]
    params = np.array([ELEMENTS, 0, 0, *row, *row, *shape, *shape, 0, 0, 0], np.uint32)
    arrays = [source, np.zeros_like(source), params]
    _, target = run(text, arrays, (-(-total // height), height))
    missing = np.flatnonzero(target != source)
    return f"{len(missing)} of {ELEMENTS} elements are not copied, from {missing[:1]} on"


def merge(model: Path, run: Run, is_changed: bool) -> str:
    """How many numbers of a merged attention are wrong."""
    data = model.read_bytes()
    begin = data.index(b"// Function: merge_state_inplace_kernel")
    text = data[begin : data.index(b"\n}\n", data.index(b"fn ", begin)) + 2].decode("ascii")
    if is_changed:
        at = text.rindex("  S[")
        text = f"{text[:at]}  storageBarrier();\n  if (threadIdx.x == 0u) {{\n{text[at:-1]}}}\n}}"
    of: Any = np.float16 if "enable f16" in text else np.float32
    random = np.random.default_rng(0)
    shape = (TOKENS * HEADS, NUMBERS)
    weights, others = random.normal(0, 3, (2, shape[0])).astype(np.float32)
    values, more = random.normal(0, 1, (2, *shape)).astype(of)
    args = np.array([NUMBERS, HEADS, TOKENS, TOKENS - 1], np.uint32)
    arrays = [weights, others, values.reshape(-1), more.reshape(-1), args]
    merged = run(text, arrays, (TOKENS, 1))[2].reshape(shape).astype(float)
    one, two = (2.0 ** each.astype(float)[:, None] for each in (weights, others))
    wanted = (values * one + more * two) / (one + two)
    wrong = np.abs(merged - wanted) > 0.01
    columns = np.flatnonzero(wrong.any(0))
    where = f", all from the number {columns[0]} of a head on" if len(columns) else ""
    return f"{int(wrong.sum())} of {wrong.size} numbers are wrong{where}"


if __name__ == "__main__":
    show = {"boids": boids, "copy": copy, "merge": merge}[sys.argv[1]]
    for found in wgpu.gpu.enumerate_adapters_sync():
        print(found.info["backend_type"], found.info["device"])
        try:
            print("  " + show(Path(sys.argv[2]), runner(found), "--change" in sys.argv))
        except (wgpu.GPUError, RuntimeError) as error:
            print(f"  not run: {str(error)[:60]}")
