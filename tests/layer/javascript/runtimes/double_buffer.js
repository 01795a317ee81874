// Each read has a staging buffer of its own; one that has arrived leaves those under way.

import { Recording, taken } from "./recording.js";

export class Right extends Recording {
  sides = [];

  async read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    const side = { staging };
    side.bytes = staging.mapAsync(GPUMapMode.READ).then(() => this.arrived(side));
    this.sides.push(side);
    return this.keep(side.bytes);
  }

  arrived(side) {
    this.sides = this.sides.filter((each) => each !== side);
    return taken(side.staging);
  }
}

// When one has arrived, whatever is older is given back to the GPU.
export class Wrong extends Right {
  arrived(side) {
    const older = this.sides.splice(0, this.sides.indexOf(side));
    older.forEach(({ staging }) => staging.unmap());
    return super.arrived(side);
  }
}
