// Reads arrive in the order in which they were asked for, each when those before it have.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  static promises = { orders_deliveries: true, survives_failed_maps: true };
  queue = [];

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const entry = { staging, isMapped: false, error: null };
    const read = new Promise((...settle) => ([entry.resolve, entry.reject] = settle));
    this.queue.push(entry);
    this.keep(read);
    const mapped = () => this.settled(staging);
    staging.mapAsync(GPUMapMode.READ).then(mapped, (error) => this.failed(entry, error));
    return read;
  }

  settled(staging) {
    this.queue.find((each) => each.staging === staging).isMapped = true;
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
}

// A failed map rejects the oldest read, and its own read moves up to the bytes of that one.
export class Wrong extends Right {
  failed(entry, error) {
    const oldest = this.queue.shift();
    oldest.reject(error);
    Object.assign(entry, { staging: oldest.staging, isMapped: oldest.isMapped });
    this.deliver();
  }
}
