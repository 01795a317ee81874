// A device may be lost, and its maps fail; a read is to say so.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { ...Recording.promises, survives_loss: true };

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    return this.keep(this.fetch(staging));
  }

  async fetch(staging) {
    await staging.mapAsync(GPUMapMode.READ);
    return taken(staging);
  }
}

// It goes on with what it has, which is nothing.
export class Wrong extends Right {
  async fetch(staging) {
    const mapped = await staging.mapAsync(GPUMapMode.READ).then(() => true, () => false);
    return mapped ? taken(staging) : new Uint8Array(staging.size);
  }
}
