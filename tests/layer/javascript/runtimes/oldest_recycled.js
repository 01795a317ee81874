// Staging buffers of one size go back to a pool when they have been read.

import { Recording, taken } from "./recording.js";

const PAGE_BYTES = 4096;

export class Right extends Recording {
  pool = [];
  flying = [];

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size, this.take(Math.max(size, PAGE_BYTES)));
    this.flying.push(staging);
    return this.keep(this.fetch(staging, size));
  }

  take(size) {
    const at = this.pool.findIndex((staging) => staging.size >= size);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return at < 0 ? this.alloc(size, usage) : this.pool.splice(at, 1)[0];
  }

  async fetch(staging, size) {
    await staging.mapAsync(GPUMapMode.READ);
    const bytes = taken(staging, size);
    this.recycle(staging);
    return bytes;
  }

  recycle(staging) {
    this.flying.splice(this.flying.indexOf(staging), 1);
    this.pool.push(staging);
  }
}

// Whichever map settles, the oldest buffer goes back: it may still be on its way.
export class Wrong extends Right {
  recycle() {
    this.pool.push(this.flying.shift());
  }
}
