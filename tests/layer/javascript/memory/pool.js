// What is freed goes to a pool that programs share, and is given back when there is too much of it.

import { Recording } from "../runtimes/recording.js";

const pool = [];
const MOST_FREE = 6;

export class Right extends Recording {
  free(buffer) {
    this.flush();
    this.owned.delete(buffer);
    pool.push(buffer);
    this.giveBack();
  }

  giveBack() {
    if (pool.length > MOST_FREE) pool.shift().destroy();
  }
}

// It never gives anything back, and looks in the pool for nothing.
export class Wrong extends Right {
  giveBack() {}
}

// It destroys nothing, and holds nothing: the engine collects it.
export class Dropping extends Right {
  free(buffer) {
    this.flush();
    this.owned.delete(buffer);
  }

  async close() {
    await this.sync();
  }
}
