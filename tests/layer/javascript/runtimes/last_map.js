// A sync waits for the reads that are on their way, which arrive in the order of their asking.

import { Recording, settled, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { orders_deliveries: true };
  before = null;

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    this.map = staging.mapAsync(GPUMapMode.READ);
    this.before = this.fetch(staging, this.map, this.before);
    return this.before;
  }

  async fetch(staging, map, before) {
    await Promise.all([map, before]);
    return taken(staging);
  }

  async sync() {
    this.flush();
    await this.before;
  }
}

// It waits for the last map only: those before it have settled by then, it thinks.
export class Wrong extends Right {
  async sync() {
    this.flush();
    await this.map;
    await settled();
  }
}
