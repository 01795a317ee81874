// Apache TVM's web runtime (web/src/webgpu.ts of its repository) as a target.
//
//     npx esbuild examples/tvm/target.js --bundle --outfile=examples/tvm/bundle.js \
//         --alias:tvm=$TVM_HOME/web/src
//     gpusim fuzz --target browser:examples/tvm/page.html
//
// Its DeviceAPI is driven as its own C++ side drives it: bytes pass through a memory in which a read
// is found once `sync` has returned.

import { WebGPUContext } from "tvm/webgpu";
import { openDevice } from "../javascript/device.js";
import { served } from "../javascript/target.js";

const DTYPES = { u32: "uint32", i32: "int32", f32: "float32" };
const MEMORY_BYTES = 1 << 23;

// Where WebAssembly keeps what is on its way; each program has one of its own.
class Memory {
  constructor() {
    this.bytes = new Uint8Array(MEMORY_BYTES);
    this.taken = 0;
  }

  take(sizeBytes) {
    this.taken += sizeBytes;
    return this.taken - sizeBytes;
  }

  loadRawBytes(at, sizeBytes) {
    return this.bytes.slice(at, at + sizeBytes);
  }

  viewRawBytes(at, sizeBytes) {
    return this.bytes.subarray(at, at + sizeBytes);
  }

  storeRawBytes(at, bytes) {
    this.bytes.set(bytes, at);
  }
}

class TvmRuntime {
  constructor(device) {
    this.memory = new Memory();
    this.context = new WebGPUContext(this.memory, device);
    this.shaders = new Map();
    this.buffers = new Set();
    this.places = new Map();
    this.reads = [];
  }

  alloc(sizeBytes) {
    const pointer = this.api("deviceAllocDataSpace")(sizeBytes);
    this.buffers.add(pointer);
    return pointer;
  }

  write(pointer, offset, bytes) {
    const at = this.memory.take(bytes.length);
    this.memory.storeRawBytes(at, bytes);
    this.api("deviceCopyToGPU")(at, pointer, offset, bytes.length);
  }

  // TVM's kernels have one dimension, which it spreads by itself.
  dispatch(kernel, pointers, scalars, [x, y, z]) {
    this.shaderOf(kernel)(...pointers, ...scalars, x * y * z);
  }

  copy(source, sourceOffset, target, targetOffset, sizeBytes) {
    const copy = this.api("deviceCopyWithinGPU");
    copy(source, sourceOffset, target, targetOffset, sizeBytes);
  }

  readInto(pointer, offset, sizeBytes, array) {
    if (!this.places.has(array)) this.places.set(array, this.memory.take(array.length));
    const at = this.places.get(array);
    this.api("deviceCopyFromGPU")(pointer, offset, at, sizeBytes);
    this.reads.push(() => array.set(this.memory.loadRawBytes(at, sizeBytes)));
  }

  free(pointer) {
    this.buffers.delete(pointer);
    this.api("deviceFreeDataSpace")(pointer);
  }

  flush() {
    this.context.flushCommands();
  }

  // What has arrived is what is in memory once it returns, whatever that is.
  async sync() {
    await this.context.sync();
    for (const take of this.reads.splice(0)) take();
  }

  // Its own `dispose` would end the device, which all programs share.
  async close() {
    await this.sync();
    for (const pointer of this.buffers) this.api("deviceFreeDataSpace")(pointer);
  }

  api(name) {
    return this.context.getDeviceAPI(name);
  }

  shaderOf({ name, buffers, scalars, wgsl }) {
    if (!this.shaders.has(name)) {
      const writes = buffers.map(({ access }) => Number(access === "read_write"));
      const info = {
        name: "main",
        arg_types: [...buffers.map(() => "handle"), ...scalars.map((dtype) => DTYPES[dtype])],
        launch_param_tags: ["blockIdx.x", `paramWriteAccess:${JSON.stringify(writes)}`],
      };
      this.shaders.set(name, this.context.createShader(info, wgsl));
    }
    return this.shaders.get(name);
  }
}

const promises = { delivery: "array", grid_dimensions: 1, spreads_grids: true };
globalThis.answer = served(openDevice, (device) => new TvmRuntime(device), promises);
