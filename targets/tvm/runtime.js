// Apache TVM's web runtime (the npm package @mlc-ai/web-runtime) as a target.
//
// Its DeviceAPI is driven as its own C++ side drives it: bytes pass through a memory, in which a read
// is found once `sync` has returned.  An array that the judge reads into is a piece of this memory, as
// a tensor on the CPU is.  The class that implements it is not exported; `contextIn`
// adds the one export to the text of the package while it is loaded.

const DTYPES = { u32: "uint32", i32: "int32", f32: "float32" };
const FIRST_BYTES = 1 << 16;
const MOST_BYTES = 1 << 28;
const LAST_EXPORT = "exports.wasmPath = wasmPath;";

// Where WebAssembly keeps what is on its way; each program has one of its own, which grows.
class Memory {
  constructor() {
    this.bytes = new Uint8Array(FIRST_BYTES);
    this.taken = 0;
    this.lent = new Map();
  }

  // The place of an array that is a piece of the memory; no two have one.
  lend(array) {
    const at = this.take(Math.max(array.length, 1));
    this.lent.set(at, array);
    return at;
  }

  take(sizeBytes) {
    if (this.taken + sizeBytes > MOST_BYTES) throw new RangeError("out of WebAssembly memory");
    this.taken += sizeBytes;
    if (this.taken > this.bytes.length) {
      const { bytes } = this;
      this.bytes = new Uint8Array(2 * this.taken);
      this.bytes.set(bytes);
    }
    return this.taken - sizeBytes;
  }

  viewRawBytes(at, sizeBytes) {
    return this.bytes.subarray(at, at + sizeBytes);
  }

  storeRawBytes(at, bytes) {
    const array = this.lent.get(at);
    if (array) array.set(bytes);
    else this.bytes.set(bytes, at);
  }
}

export class TvmRuntime {
  constructor(device, WebGPUContext) {
    this.memory = new Memory();
    this.context = new WebGPUContext(this.memory, device);
    this.shaders = new Map();
    this.buffers = new Set();
    this.places = new Map();
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
    if (!this.places.has(array)) this.places.set(array, this.memory.lend(array));
    this.api("deviceCopyFromGPU")(pointer, offset, this.places.get(array), sizeBytes);
  }

  free(pointer) {
    this.buffers.delete(pointer);
    this.api("deviceFreeDataSpace")(pointer);
  }

  flush() {
    this.context.flushCommands();
  }

  // What has arrived is what is in memory once it returns, whatever that is.
  sync() {
    return this.context.sync();
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

export const PROMISES = {
  delivery: "array",
  write_size_bytes: 1,
  read_size_bytes: 1,
  copy_size_bytes: 1,
  copies_within: true,
  host_arrays: true,
  grid_dimensions: 1,
  spreads_grids: true,
  concurrent_syncs: true,
  releases_arrays: true,
  invalid_handle: "contained",
  out_of_range: "contained",
  invalid_binding: "contained",
  survives_failed_maps: true,
};

// The class in the text of the package's one file.
export function contextIn(text) {
  const exported = text.replace(LAST_EXPORT, `${LAST_EXPORT} exports.WebGPUContext = WebGPUContext;`);
  if (exported === text) throw new Error(`the package has no line ${LAST_EXPORT}`);
  const exports = {};
  new Function("exports", "module", exported)(exports, {});
  return exports.WebGPUContext;
}
