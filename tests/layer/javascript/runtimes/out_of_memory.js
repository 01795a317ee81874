// There may be no memory: the op that finds none raises, and nothing else happens.  Scalars are in a
// ring that comes with the first buffer, since a dispatch cannot wait for an answer.

import { Recording, payloadOf, taken } from "./recording.js";

const SLOT_BYTES = 256;
const SLOTS = 16;
const RING = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
const STAGING = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;

export class Right extends Recording {
  static promises = { ...Recording.promises, survives_out_of_memory: true };
  used = 0;

  async alloc(size) {
    this.ring ??= await this.sure(() => super.alloc(SLOT_BYTES * SLOTS, RING));
    return this.sure(() => super.alloc(size));
  }

  // What `make` makes, once it is known that there is memory for it.
  async sure(make) {
    const filters = ["validation", "out-of-memory"];
    filters.forEach((filter) => this.device.pushErrorScope(filter));
    const made = make();
    const errors = await Promise.all(filters.map(() => this.device.popErrorScope()));
    const [error] = errors.filter(Boolean);
    if (error) throw new RangeError(error.message);
    return made;
  }

  uniform(kernel, scalars, grid) {
    if (this.used === SLOTS) this.flush();
    const offset = SLOT_BYTES * this.used++;
    this.device.queue.writeBuffer(this.ring, offset, payloadOf(kernel, scalars, grid));
    return { buffer: this.ring, offset, size: kernel.uniform_bytes };
  }

  flush() {
    super.flush();
    this.used = 0;
  }

  read(buffer, offset, size) {
    this.part();
    const staged = this.sure(() => this.copied(buffer, offset, size));
    const read = staged.then(async (staging) => {
      await staging.mapAsync(GPUMapMode.READ);
      return taken(staging);
    });
    return this.keep(read);
  }

  // The batch goes before the copy, so that an invalid one costs nothing else.
  part() {
    this.flush();
  }

  copied(...range) {
    const staging = super.alloc(range[2], STAGING);
    return this.stage(...range, staging);
  }
}

// The copy is in the batch, and takes it along where there is no memory.
export class Wrong extends Right {
  part() {}
}
