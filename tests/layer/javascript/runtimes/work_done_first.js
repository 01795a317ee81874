// A fence counts the submits that are done, and finished reads are taken when it moves.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  submits = 0;
  done = 0;

  flush() {
    if (!this.encoder) return;
    super.flush();
    const number = ++this.submits;
    this.device.queue.onSubmittedWorkDone().then(() => (this.done = number));
  }

  async read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const number = this.submits;
    return this.keep(this.fetch(staging, number));
  }

  async fetch(staging) {
    await staging.mapAsync(GPUMapMode.READ);
    return taken(staging);
  }
}

// A work-done that was asked for before a map need not settle before it.
export class Wrong extends Right {
  async fetch(staging, number) {
    await staging.mapAsync(GPUMapMode.READ);
    // Nobody has seen that the submit is done, so that these cannot be its bytes.
    if (this.done < number) return new Uint8Array(staging.size);
    return taken(staging);
  }
}
