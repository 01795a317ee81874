// A device may be lost, and its maps fail; a read is to say so.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { ...Recording.promises, survives_loss: true };
  reads = new Set();

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const read = this.fetch(staging);
    this.reads.add(read);
    return read;
  }

  async fetch(staging) {
    await staging.mapAsync(GPUMapMode.READ);
    return taken(staging);
  }

  async sync() {
    this.flush();
    await Promise.allSettled(this.reads);
  }
}

// It goes on with what it has, which is nothing.
export class Wrong extends Right {
  async fetch(staging) {
    const mapped = await staging.mapAsync(GPUMapMode.READ).then(() => true, () => false);
    return mapped ? taken(staging) : new Uint8Array(staging.size);
  }
}
