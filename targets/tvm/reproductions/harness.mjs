// What every reproduction needs: the package as published, a device, and a memory for its bytes.
//
//     node targets/tvm/reproductions/NAME.mjs             the package as it is
//     node targets/tvm/reproductions/NAME.mjs CHANGE      the package with CHANGE.diff, in memory
//
// Each prints what is wrong and exits with 1, or prints "nothing wrong" and exits with 0.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { create, globals } from "webgpu";
import { changed } from "../../reproducing.mjs";
import { contextIn } from "../runtime.js";

Object.assign(globalThis, globals);
process.on("unhandledRejection", (error) => console.error(`unhandled: ${error.message}`));

// Deno has WebGPU of its own, on wgpu; Node gets Dawn.
const gpu = globalThis.navigator?.gpu ?? (await dawn());
const file = createRequire(import.meta.url).resolve("@mlc-ai/web-runtime");

async function dawn() {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  return create([]);
}

// The class that the package keeps to itself.
function contextClass(change) {
  let text = readFileSync(file, "utf8");
  if (change) text = changed(text, readFileSync(new URL(`${change}.diff`, import.meta.url), "utf8"));
  return contextIn(text);
}

// x[0] <- x[0] + by, and y beside it where there is one.
const ADD = (second) => `
  struct Args { by: u32, groups: u32 }
  @group(0) @binding(0) var<storage, read_write> x: array<u32>;
  ${second ? "@group(0) @binding(1) var<storage, read_write> y: array<u32>;" : ""}
  @group(0) @binding(${second ? 2 : 1}) var<uniform> args: Args;
  @compute @workgroup_size(1) fn main() { x[0] += args.by; ${second ? "y[0] += args.by;" : ""} }`;

export class Tvm {
  constructor(device, WebGPUContext) {
    this.bytes = new Uint8Array(1 << 16);
    this.device = device;
    this.context = new WebGPUContext(this.memory(), device);
    this.taken = 0;
  }

  // The three functions of WebAssembly's memory that the context calls.
  memory() {
    const view = (at, size) => this.bytes.subarray(at, at + size);
    const store = (at, bytes) => this.bytes.set(bytes, at);
    return { viewRawBytes: view, storeRawBytes: store, loadRawBytes: (...at) => view(...at).slice() };
  }

  api(name, ...args) {
    return this.context.getDeviceAPI(`device${name}`)(...args);
  }

  alloc(sizeBytes) {
    return this.api("AllocDataSpace", sizeBytes);
  }

  write(tensor, offset, data) {
    this.bytes.set(data, this.taken);
    this.api("CopyToGPU", this.taken, tensor, offset, data.length);
    this.taken += 256;
  }

  copy(from, fromOffset, to, toOffset, sizeBytes) {
    this.api("CopyWithinGPU", from, fromOffset, to, toOffset, sizeBytes);
  }

  free(tensor) {
    this.api("FreeDataSpace", tensor);
  }

  // Where the bytes are found after a sync.
  read(tensor, sizeBytes, at = (this.taken += 256)) {
    this.api("CopyFromGPU", tensor, 0, at, sizeBytes);
    return at;
  }

  async value(tensor, sizeBytes) {
    const at = this.read(tensor, sizeBytes);
    await this.context.sync();
    return [...this.bytes.subarray(at, at + sizeBytes)].join(" ");
  }

  // A function of its tensors, of what is added, and of the number of workgroups.
  adder(second = false) {
    const tags = ["blockIdx.x", `paramWriteAccess:[${second ? "1,1" : "1"}]`];
    const types = [...(second ? ["handle", "handle"] : ["handle"]), "uint32"];
    const info = { name: "main", arg_types: types, launch_param_tags: tags };
    return this.context.createShader(info, ADD(second));
  }
}

// Runs `body`, which gives pairs of what is there and what ought to be.
export async function reproduce(body) {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn finds no adapter on this machine");
  const device = await adapter.requestDevice();
  device.addEventListener("uncapturederror", ({ error }) => {
    console.log(`device: ${error.message.split("\n")[0]}`);
  });
  const pairs = await body(new Tvm(device, contextClass(process.argv[2])));
  const wrong = pairs.filter(([got, wanted]) => got !== wanted);
  for (const [got, wanted, what] of wrong) console.log(`${what}: ${got} instead of ${wanted}`);
  if (!wrong.length) console.log("nothing wrong");
  process.exitCode = wrong.length ? 1 : 0;
  device.destroy();
}
