// A runtime that is only memory, behind the helper of examples/javascript; one word names its mistake.

import { createInterface } from "node:readline";
import { setImmediate as later } from "node:timers/promises";
import { served } from "../../examples/javascript/target.js";

const mistake = process.argv[2] ?? "";

class Memory {
  constructor() {
    this.buffers = new Map();
    this.unused = [];
    this.made = 0;
    this.writes = [];
    this.reads = [];
    this.stored = [];
    this.syncs = 0;
  }

  alloc(sizeBytes) {
    const handle = (mistake === "stale" && this.unused.pop()) || ++this.made;
    this.buffers.set(handle, new Uint8Array(sizeBytes));
    return handle;
  }

  write(handle, offset, bytes) {
    this.writes.push([this.bytesOf(handle), offset, mistake === "spoilt" ? bytes : bytes.slice()]);
  }

  flush() {
    for (const [buffer, offset, bytes] of this.writes.splice(0)) buffer.set(bytes, offset);
  }

  readInto(handle, offset, sizeBytes, array) {
    this.flush();
    if (mistake === "unhandled") Promise.reject(new Error("nobody waits for this"));
    this.reads.push([array, this.bytesOf(handle).slice(offset, offset + sizeBytes)]);
  }

  free(handle) {
    this.flush();
    this.bytesOf(handle);
    this.buffers.delete(handle);
    this.unused.push(handle);
  }

  async sync() {
    if (mistake === "overlap" && this.syncs) return;
    this.syncs += 1;
    const lost = mistake === "lost" && this.syncs === 1 && this.reads.shift();
    await later();
    this.syncs -= 1;
    if (lost) throw new Error("the read is lost");
    for (const [array, bytes] of mistake === "late" ? this.stored : []) array.set(bytes);
    const reads = (this.stored = this.reads.splice(0));
    for (const [array, bytes] of mistake === "array" ? reads.reverse() : reads) array.set(bytes);
  }

  close() {}

  bytesOf(handle) {
    if (!this.buffers.has(handle)) throw new Error(`no buffer has the handle ${handle}`);
    return this.buffers.get(handle);
  }
}

const device = { addEventListener() {}, adapterInfo: {}, lost: new Promise(() => {}) };
const promises = {
  delivery: "array",
  host_arrays: true,
  concurrent_syncs: true,
  releases_arrays: true,
  handles: true,
  invalid_handle: "contained",
};
const answer = served(async () => device, () => new Memory(), promises);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
