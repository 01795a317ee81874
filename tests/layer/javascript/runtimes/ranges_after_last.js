// Reads gather; a sync maps all of them and takes their bytes.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  waiting = [];

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    return new Promise((resolve, reject) => this.waiting.push({ staging, resolve, reject }));
  }

  async sync() {
    this.flush();
    const reads = this.waiting.splice(0);
    const maps = reads.map(({ staging }) => staging.mapAsync(GPUMapMode.READ));
    await this.mapped(maps);
    reads.forEach((read) => this.deliver(read));
    await null;
  }

  deliver({ staging, resolve, reject }) {
    try {
      resolve(taken(staging));
    } catch (error) {
      reject(error);
    }
  }

  mapped(maps) {
    return Promise.all(maps);
  }
}

// It takes all ranges once the last map has settled.
export class Wrong extends Right {
  mapped(maps) {
    return maps.at(-1);
  }
}
