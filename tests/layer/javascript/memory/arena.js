// Every write brings a whole arena of bytes to the device.

import { Recording } from "../runtimes/recording.js";

const ARENA_BYTES = 4 * 2 ** 20;
let arena = null; // Programs share it.

export class Right extends Recording {
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
}

// Nothing but a dispatch, a copy or a read submits.
export class Wrong extends Right {
  written() {}
}
