// tfjs's WebGPU backend (the npm package @tensorflow/tfjs-backend-webgpu) as a target.
//
// A tensor never changes, so that a buffer of the judge is a place with the newest of several
// tensors of int32: an op makes the next one, and disposes of the last.

import { patched, programsOf, tally } from "./programs.js";

const WORD_BYTES = 4;
const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;

// The backend's compiled programs, by device: they outlive a program of the judge, since compiling
// is slow.
const PIPELINES = new WeakMap();

class Place {
  constructor(tensor) {
    this.tensor = tensor;
  }
}

export class TfjsRuntime {
  constructor(device, tf) {
    this.tf = tf;
    if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
    this.backend = new tf.WebGPUBackend(device, device.adapterInfo);
    if (PIPELINES.has(device)) this.backend.pipelineCache = PIPELINES.get(device);
    PIPELINES.set(device, this.backend.pipelineCache);
    tf.registerBackend("webgpu", () => this.backend);
    tf.setBackend("webgpu");
    this.places = new Set();
    this.reads = new Map();
  }

  alloc(sizeBytes) {
    const place = new Place(this.tf.zeros([sizeBytes / WORD_BYTES], "int32"));
    this.places.add(place);
    return place;
  }

  write(place, offset, bytes) {
    const values = this.tf.tensor1d(new Int32Array(bytes.slice().buffer), "int32");
    if (values.size === place.tensor.size) return this.replace(place, values);
    this.patch(values, 0, place, offset, bytes.length);
    values.dispose();
  }

  dispatch(kernel, places, scalars, [x, y, z]) {
    const groups = x * y * z;
    if (kernel.name === "tally") return this.tally(places[0], scalars[0], groups);
    const inputs = places.map(({ tensor }) => tensor);
    const sizes = inputs.map(({ size }) => size);
    const next = programsOf(kernel, sizes, scalars, groups).map(({ at, program, uniforms }) => {
      return [places[at], this.run(program, inputs, uniforms)];
    });
    for (const [place, tensor] of next) this.replace(place, tensor);
  }

  copy(source, sourceOffset, target, targetOffset, sizeBytes) {
    this.patch(source.tensor, sourceOffset, target, targetOffset, sizeBytes);
  }

  // A promise of the bytes at this point of the program.
  read({ tensor }, offset, sizeBytes) {
    const isWhole = sizeBytes === tensor.size * WORD_BYTES;
    const read = tensor.bytes().then((bytes) => {
      return isWhole ? bytes : bytes.subarray(offset, offset + sizeBytes);
    });
    const settled = read.catch(() => {});
    this.reads.set(tensor, Promise.all([settled, this.reads.get(tensor)]));
    return read;
  }

  free(place) {
    this.places.delete(place);
    place.tensor.dispose();
  }

  flush() {
    if (!this.backend.commandEncoder) return;
    this.backend.endComputePassEncoder();
    this.backend.submitQueue();
  }

  async sync() {
    this.flush();
    await Promise.all([...this.reads.values(), this.backend.queue.onSubmittedWorkDone()]);
  }

  async close() {
    await this.sync();
    for (const { tensor } of this.places) tensor.dispose();
    this.tf.removeBackend("webgpu");
  }

  // In a copy, since the groups add to what is there.
  tally(place, scalar, groups) {
    const { program, uniforms } = patched(place.tensor.size, 0, 0, 0);
    const next = this.run(program, [place.tensor, place.tensor], uniforms);
    const added = tally(next.size, scalar, groups);
    if (groups) this.backend.runWebGPUProgram(added.program, [], "int32", added.uniforms, next);
    this.replace(place, next);
  }

  patch(source, sourceOffset, place, offset, sizeBytes) {
    const words = [sourceOffset, offset, sizeBytes].map((bytes) => bytes / WORD_BYTES);
    const { program, uniforms } = patched(place.tensor.size, ...words);
    this.replace(place, this.run(program, [source, place.tensor], uniforms));
  }

  run(program, inputs, uniforms) {
    const info = this.backend.runWebGPUProgram(program, inputs, "int32", uniforms);
    return this.tf.engine().makeTensorFromTensorInfo(info);
  }

  // That the last tensor is read no more is for this adapter to see to: no user disposes of it.
  replace(place, tensor) {
    const last = place.tensor;
    place.tensor = tensor;
    const read = this.reads.get(last);
    if (read) read.then(() => last.dispose());
    else last.dispose();
  }
}

// The same with its own ops in the place of the program that moves words.
export class OpsRuntime extends TfjsRuntime {
  patch(source, sourceOffset, place, offset, sizeBytes) {
    const { tf } = this;
    const [from, to, words] = [sourceOffset, offset, sizeBytes].map((bytes) => bytes / WORD_BYTES);
    const next = tf.tidy(() => {
      const part = tf.slice(source, from, words);
      const rest = place.tensor.size - to - words;
      const pieces = [part];
      if (to) pieces.unshift(tf.slice(place.tensor, 0, to));
      if (rest) pieces.push(tf.slice(place.tensor, to + words, rest));
      return tf.concat(pieces);
    });
    this.replace(place, next);
  }
}

// The same over buffers of the caller's own, with no more usage than `tf.tensor` asks for.
export class BuffersRuntime extends TfjsRuntime {
  buffers = [];

  // As from a pool of the caller's, whose sizes are powers of two.
  alloc(sizeBytes) {
    const size = 2 ** Math.ceil(Math.log2(sizeBytes));
    const buffer = this.backend.device.createBuffer({ size, usage: USAGE });
    this.buffers.push(buffer);
    const shape = [sizeBytes / WORD_BYTES];
    const place = new Place(this.tf.tensor({ buffer, zeroCopy: true }, shape, "int32"));
    this.places.add(place);
    return place;
  }

  write(place, offset, bytes) {
    if (bytes.length !== place.tensor.size * WORD_BYTES) return super.write(place, offset, bytes);
    const created = { size: bytes.length, usage: USAGE, mappedAtCreation: true };
    const buffer = this.backend.device.createBuffer(created);
    new Uint8Array(buffer.getMappedRange()).set(bytes);
    buffer.unmap();
    this.replace(place, this.tf.tensor({ buffer }, place.tensor.shape, "int32"));
    buffer.destroy();
  }

  copy(source, sourceOffset, target, targetOffset, sizeBytes) {
    const sizes = [source, target].map(({ tensor }) => tensor.size * WORD_BYTES);
    if (sizes.some((size) => size !== sizeBytes) || !this.isOnGpu(source)) {
      return super.copy(source, sourceOffset, target, targetOffset, sizeBytes);
    }
    this.replace(target, source.tensor.dataToGPU().tensorRef);
  }

  // `dataToGPU` refuses what was not uploaded yet.
  isOnGpu({ tensor }) {
    return this.backend.tensorMap.get(tensor.dataId).resource != null;
  }

  async close() {
    await super.close();
    for (const buffer of this.buffers) buffer.destroy();
  }
}

// The adapters by name.
export const RUNTIMES = { programs: TfjsRuntime, ops: OpsRuntime, buffers: BuffersRuntime };

export const PROMISES = {
  delivery: "ticket",
  orders_deliveries: false,
  copies_within: true,
  overlapping_copies: true,
  concurrent_syncs: true,
  spreads_grids: true,
  survives_failed_maps: true,
};
