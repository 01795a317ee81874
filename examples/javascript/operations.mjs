// A runtime that takes no WGSL: it adds and multiplies, and its commands wait for a flush.
//
//     gpusim fuzz --target "exec:node examples/javascript/operations.mjs"

import { createInterface } from "node:readline";
import { served } from "./target.js";

const WORDS = { u32: Uint32Array, i32: Int32Array, f32: Float32Array };
const INTEGERS = { add: (y, x) => y + x, mul: Math.imul };
const FLOATS = { add: (y, x) => y + Math.fround(x), mul: (y, x) => y * Math.fround(x) };

class Operations {
  queue = [];

  alloc(sizeBytes) {
    return new Uint8Array(sizeBytes);
  }

  write(buffer, offset, bytes) {
    this.flush();
    buffer.set(bytes, offset);
  }

  dispatch({ operation: { op, of, dtype } }, buffers, [scalar], [x, y, z]) {
    const compute = (dtype === "f32" ? FLOATS : INTEGERS)[op];
    const words = (bytes) => new WORDS[dtype](bytes.buffer, 0, bytes.length >> 2);
    const [source, target] = [words(buffers[0]), words(buffers.at(-1))];
    const count = Math.min(64 * x * y * z, source.length, target.length);
    this.queue.push(() => {
      for (let at = 0; at < count; at++) {
        target[at] = compute(target[at], of === "scalar" ? scalar : source[at]);
      }
    });
  }

  copy(source, at, target, targetAt, size) {
    this.queue.push(() => target.set(source.subarray(at, at + size), targetAt));
  }

  async read(buffer, offset, size) {
    this.flush();
    return buffer.slice(offset, offset + size);
  }

  free() {}

  flush() {
    for (const command of this.queue.splice(0)) command();
  }

  async sync() {
    this.flush();
  }

  async close() {}
}

const promises = (kernels) => ({
  delivery: "ticket",
  kernels: kernels.filter(({ operation }) => operation).map(({ name }) => name),
});
const answer = served(async () => null, () => new Operations(), promises);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
