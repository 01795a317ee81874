// An error is kept and raised by the next call that can raise it.

import { Recording } from "./recording.js";

export class Right extends Recording {
  static promises = { ...Recording.promises, survives_failed_maps: true };
  broken = null;

  read(buffer, offset, size) {
    const read = super.read(buffer, offset, size);
    read.catch((error) => this.failed(error));
    return read;
  }

  failed() {
    // The read has its error, and nothing else is wrong.
  }

  flush() {
    if (this.broken) throw this.broken;
    super.flush();
  }

  async close() {
    this.broken = null;
    await super.close();
  }
}

// After one failed map nothing works any more.
export class Wrong extends Right {
  failed(error) {
    this.broken = error;
  }
}
