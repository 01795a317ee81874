// Every write brings a whole arena of bytes to the device.

import { Recording, taken } from "../runtimes/recording.js";

const ARENA_BYTES = 4 * 2 ** 20;
let arena = null; // Programs share it.

export class Right extends Recording {
  reads = new Set();

  write(buffer, offset, bytes) {
    super.write(buffer, offset, bytes);
    arena ??= this.device.createBuffer({ size: ARENA_BYTES, usage: GPUBufferUsage.COPY_DST });
    this.device.queue.writeBuffer(arena, 0, new Uint8Array(ARENA_BYTES));
    this.written();
  }

  // The queue holds the bytes until a submit.
  written() {
    this.device.queue.submit([]);
  }

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const read = staging.mapAsync(GPUMapMode.READ).then(() => taken(staging));
    this.reads.add(read);
    return read;
  }

  async sync() {
    this.flush();
    await Promise.all(this.reads);
  }
}

// Nothing but a dispatch, a copy or a read submits.
export class Wrong extends Right {
  written() {}
}
