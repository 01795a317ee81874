// Reads arrive in the order in which they were asked for, each when those before it have.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { orders_deliveries: true, survives_failed_maps: true };
  queue = [];
  reads = new Set();

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const entry = { staging, isMapped: false, error: null };
    const read = new Promise((...settle) => ([entry.resolve, entry.reject] = settle));
    this.queue.push(entry);
    this.reads.add(read);
    const mapped = () => this.settled(entry);
    staging.mapAsync(GPUMapMode.READ).then(mapped, (error) => this.failed(entry, error));
    return read;
  }

  settled(entry) {
    entry.isMapped = true;
    this.deliver();
  }

  failed(entry, error) {
    entry.error = error;
    this.deliver();
  }

  deliver() {
    while (this.queue[0]?.isMapped || this.queue[0]?.error) {
      const { staging, error, resolve, reject } = this.queue.shift();
      if (error) reject(error);
      else resolve(taken(staging));
    }
  }

  async sync() {
    this.flush();
    await Promise.allSettled(this.reads);
  }
}

// A failed map rejects the oldest read, whose own map is on its way, and leaves its own there.
export class Wrong extends Right {
  failed(entry, error) {
    this.queue.shift().reject(error);
    entry.resolve(new Uint8Array(entry.staging.size));
    this.deliver();
  }
}
