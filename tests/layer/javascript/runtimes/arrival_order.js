// Reads wait in a queue, and each map that settles hands out bytes.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  waiting = [];

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const read = new Promise((resolve) => this.waiting.push({ staging, resolve }));
    this.keep(read);
    staging.mapAsync(GPUMapMode.READ).then(() => this.settled(staging));
    return read;
  }

  settled(staging) {
    const at = this.waiting.findIndex((each) => each.staging === staging);
    const [{ resolve }] = this.waiting.splice(at, 1);
    resolve(taken(staging));
  }
}

// It takes for granted that the first map to settle is the first that was asked for.
export class Wrong extends Right {
  settled(staging) {
    this.waiting.shift().resolve(taken(staging));
  }
}
