// tfjs's WebGPU backend (the npm package @tensorflow/tfjs-backend-webgpu) as a target.
//
// A tensor never changes, so that a buffer of the judge is a place with the newest of several
// tensors of int32: an op makes the next one, and disposes of the last.

import { patched, programsOf, tally } from "./programs.js";

const WORD_BYTES = 4;

class Place {
  constructor(tensor) {
    this.tensor = tensor;
  }
}

export class TfjsRuntime {
  constructor(device, tf, WebGPUBackend) {
    this.tf = tf;
    if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
    this.backend = new WebGPUBackend(device, device.adapterInfo);
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
    const read = tensor.data().then((words) => {
      return new Uint8Array(words.buffer, words.byteOffset + offset, sizeBytes).slice();
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

export const PROMISES = {
  delivery: "ticket",
  orders_deliveries: false,
  copies_within: true,
  overlapping_copies: true,
  concurrent_syncs: true,
  spreads_grids: true,
  survives_failed_maps: true,
};
