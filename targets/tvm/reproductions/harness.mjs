// What every reproduction needs: the package as published, a device, and a memory for its bytes.
//
//     node targets/tvm/reproductions/NAME.mjs             the package as it is
//     node targets/tvm/reproductions/NAME.mjs CHANGE      the package with CHANGE.diff, in memory
//
// Each prints what is wrong and exits with 1, or prints "nothing wrong" and exits with 0.

import { show } from "../../shown.js";
import { contextWith, openDevice } from "../package.mjs";

process.on("unhandledRejection", (error) => console.error(`unhandled: ${error.message}`));

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
    return this.bytesAt(at, sizeBytes);
  }

  bytesAt(at, sizeBytes) {
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

const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

// From now on each of the next maps "fails", or settles "at once", "later", or "after the next" one.  A
// work-done still settles after the maps that were asked for before it, as WebGPU has it.
export function settleMaps(...turns) {
  const { mapAsync } = GPUBuffer.prototype;
  const { onSubmittedWorkDone } = GPUQueue.prototype;
  const maps = [];
  GPUBuffer.prototype.mapAsync = function (...given) {
    const when = turns.shift();
    const number = maps.length;
    const settled = (async () => {
      if (when === "fails") throw new RangeError("Array buffer allocation failed");
      await mapAsync.apply(this, given);
      if (when === "after the next") await maps[number + 1];
      if (when !== "at once") await turn();
    })();
    maps.push(settled);
    return settled;
  };
  GPUQueue.prototype.onSubmittedWorkDone = async function () {
    const before = Promise.allSettled(maps);
    await onSubmittedWorkDone.apply(this);
    await before;
  };
}

// Runs `body(tvm)`, which gives triples of what is there, what ought to be, and its name.
export async function reproduce(body) {
  const [device, WebGPUContext] = [await openDevice(), await contextWith(process.argv[2])];
  await show(device, () => body(new Tvm(device, WebGPUContext)));
}
