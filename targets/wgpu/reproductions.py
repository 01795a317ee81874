"""Shows, with wgpu-py alone, what docs/findings/wgsl.md reports.

    python targets/wgpu/reproductions.py

For each report and each adapter it says what the shader wrote and what WGSL demands; for texts that
are valid, or are not, what the adapter says.
"""

import struct
from typing import Any

import wgpu

HEAD = """
var<workgroup> n: atomic<i32>;
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
"""
WORDS = 8
Values = tuple[int, ...]

RUNS: dict[str, tuple[str, Values, Values]] = {
    "signed division by zero": (
        "y[2] = bitcast<u32>(bitcast<i32>(y[0]) / bitcast<i32>(y[1]));",
        (7, 0, 0),
        (7, 0, 7),
    ),
    "unsigned division by zero": ("y[2] = y[0] / y[1];", (0, 0, 7), (0, 0, 0)),
    "a switch of 90 cases": (
        f"switch y[0] {{ {' '.join(f'case {n}: {{ y[1] = {n + 5}; }}' for n in range(90))} "
        "default: { y[1] = 1; } }",
        (0, 7),
        (0, 5),
    ),
    "unsigned remainder by zero": ("y[2] = y[0] % y[1];", (7, 0, 7), (7, 0, 0)),
    "7 by zero, both known when compiled": (
        "var zero: u32; y[0] = (7u ^ zero) / zero;",
        (1,),
        (7,),
    ),
    "atomicSub of a negated value": (
        "atomicStore(&n, 0); atomicSub(&n, -bitcast<i32>(y[0])); y[1] = u32(atomicLoad(&n));",
        (5, 0),
        (5, 5),
    ),
    "remainder of a negative number": (
        "y[2] = bitcast<u32>(bitcast<i32>(y[0]) % bitcast<i32>(y[1]));",
        (2**32 - 10, 8, 0),
        (2**32 - 10, 8, 2**32 - 2),
    ),
    "abs of a large u32": ("y[1] = abs(y[0]);", (2**31 + 1, 0), (2**31 + 1, 2**31 + 1)),
    "a large float as i32": (
        "y[1] = bitcast<u32>(i32(bitcast<f32>(y[0])));",
        (0x501502F9, 0),
        (0x501502F9, 2147483520),
    ),
    "a negative float as u32": (
        "y[1] = u32(bitcast<f32>(y[0]));",
        (0xBF800000, 7),
        (0xBF800000, 0),
    ),
    "pack4x8snorm of a tie": (
        "y[1] = pack4x8snorm(vec4<f32>(bitcast<f32>(y[0]), 0.0, 0.0, 0.0));",
        (0xBF000000, 0),
        (0xBF000000, 0xC1),
    ),
}
TEXTS: dict[str, tuple[str, bool]] = {
    "bitcast of two halves": (
        "enable f16; fn f(x: vec2<f16>) -> u32 { return bitcast<u32>(x); }",
        True,
    ),
    "frexp of a half": ("enable f16; fn f(x: f16) -> i32 { return frexp(x).exp; }", True),
    "a loop without end": (
        "fn f(x: i32) { loop { switch x { case 1: { continue; } default: { } } } }",
        False,
    ),
    "a shift beside a sum without parentheses": (
        "fn f(a: u32, b: u32) -> u32 { return a << b + 1u; }",
        False,
    ),
    "two pointers to one variable": (
        "fn f(p: ptr<function, u32>, q: ptr<function, u32>) { *p = *q; }"
        "fn g() { var x = 1u; f(&x, &x); }",
        False,
    ),
    "a barrier that some miss": (
        "@compute @workgroup_size(4) fn f(@builtin(local_invocation_index) i: u32) {"
        "if i == 0u { workgroupBarrier(); } }",
        False,
    ),
    "a u32 in a constant of floats": ("fn f() { const a = vec3<f32>(0f, 0f, 33u); }", False),
    "an access mode that is none": (
        "@group(0) @binding(0) var<storage, atomic> x: array<u32>;",
        False,
    ),
    "a constant zero divides": ("fn f(x: i32) -> i32 { return x / i32(0.0); }", False),
}
SHARED = """
var<workgroup> shared_words: array<u32, 256>;
@compute @workgroup_size(1) fn dirty() { for (var i = 0u; i < 256u; i++) {
  shared_words[i] = 7u + y[0]; } y[1] = shared_words[y[2]]; }
@compute @workgroup_size(1) fn clean() { y[3] = shared_words[5]; }
"""


def device_of(adapter: Any) -> Any:
    """A device with f16 where there is any."""
    wanted = [each for each in ("shader-f16",) if each in adapter.features]
    return adapter.request_device_sync(required_features=wanted)


def run(device: Any, text: str, entries: list[str], given: Values) -> Values:
    """The words that the entry points leave."""
    module = device.create_shader_module(code=HEAD + text)
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    data = struct.pack(f"<{WORDS}I", *given, *(0,) * (WORDS - len(given)))
    buffer = device.create_buffer_with_data(data=data, usage=usage)
    for entry in entries:
        stage = {"module": module, "entry_point": entry}
        pipeline = device.create_compute_pipeline(layout="auto", compute=stage)
        group = device.create_bind_group(
            layout=pipeline.get_bind_group_layout(0),
            entries=[{"binding": 0, "resource": {"buffer": buffer}}],
        )
        encoder = device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(pipeline)
        work.set_bind_group(0, group)
        work.dispatch_workgroups(1)
        work.end()
        device.queue.submit([encoder.finish()])
    return struct.unpack(f"<{WORDS}I", bytes(device.queue.read_buffer(buffer)))


def refused(device: Any, text: str) -> bool:
    """Whether the device refuses a text."""
    try:
        device.create_shader_module(code=text)
    except wgpu.GPUError:
        return True
    return False


def main() -> None:
    """Print a line for each report and adapter."""
    for adapter in wgpu.gpu.enumerate_adapters_sync():
        device = device_of(adapter)
        print(f"{adapter.info['backend_type']}, {adapter.info['description']}")
        for name, (body, given, wanted) in RUNS.items():
            text = f"@compute @workgroup_size(1) fn main() {{ {body} }}"
            try:
                found = run(device, text, ["main"], given)[: len(given)]
            except wgpu.GPUError as error:
                print(f"  WRONG: {name}: refused: {' '.join(str(error).split())[-120:]}")
                continue
            word = "right" if found == wanted else "WRONG"
            print(f"  {word}: {name}: {found}, and WGSL demands {wanted}")
        found = run(device, SHARED, ["dirty", "clean"], (1, 0, 5))
        word = "right" if found[3] == 0 else "WRONG"
        print(f"  {word}: workgroup memory at the start: {found[3]}, and WGSL demands 0")
        for name, (text, valid) in TEXTS.items():
            if "f16" in text and "shader-f16" not in adapter.features:
                continue
            word = "right" if refused(device, text) != valid else "WRONG"
            print(f"  {word}: {name}: {'valid' if valid else 'not valid'} by WGSL")


if __name__ == "__main__":
    main()
