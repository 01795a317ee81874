// Reads have numbers and arrive in that order; a sync waits until all have.

import { Recording, settled, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { orders_deliveries: true };
  before = null;
  issued = 0;
  mapped = 0;
  wake = () => {};

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    this.before = this.fetch(staging, ++this.issued, this.before);
    return this.before;
  }

  async fetch(staging, number, before) {
    await staging.mapAsync(GPUMapMode.READ);
    this.count(number);
    await before;
    if (this.mapped === this.issued) this.wake();
    return taken(staging);
  }

  count() {
    this.mapped += 1;
  }

  async sync() {
    this.flush();
    if (this.mapped < this.issued) await new Promise((resolve) => (this.wake = resolve));
    await settled();
  }
}

// The number of the newest that was mapped stands for all before it.
export class Wrong extends Right {
  count(number) {
    this.mapped = Math.max(this.mapped, number);
  }
}
