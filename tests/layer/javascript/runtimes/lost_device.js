// The device may be lost: from then on reads fail, and so does the sync that waits for them.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { ...Recording.promises, survives_loss: true };

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const read = staging.mapAsync(GPUMapMode.READ).then(
      () => taken(staging),
      (error) => this.failed(error, size),
    );
    return this.keep(read);
  }

  failed(error) {
    throw error;
  }

  async sync() {
    this.flush();
    await Promise.all(this.reads);
  }
}

// A read that fails gives the zeros with which its array began.
export class Wrong extends Right {
  failed(error, size) {
    return new Uint8Array(size);
  }
}
