// The lines of the judge, for a runtime in JavaScript; docs/JUDGING.md has what goes back and forth.
//
// `served(openDevice, makeRuntime)` is the function that answers a line.  The runtime has alloc,
// write, dispatch, copy, read, free, flush, sync and close, as in runtime.js.

const MOST_GROUPS = 65535;

export function served(openDevice, makeRuntime) {
  const target = new Target(openDevice, makeRuntime);
  return async (line) => {
    let outcome = "ok";
    try {
      outcome = (await target.carryOut(line.trim().split(" "))) ?? "ok";
    } catch (error) {
      outcome = `error ${error.constructor.name} ${error.message.replaceAll("\n", " / ")}`;
    }
    return [...target.takeArrived(), outcome].join("\n");
  };
}

class Target {
  constructor(openDevice, makeRuntime) {
    this.openDevice = openDevice;
    this.makeRuntime = makeRuntime;
    this.kernels = new Map();
    this.uncaptured = null;
    this.clear();
  }

  clear() {
    this.buffers = new Map();
    this.reads = new Map();
    this.arrived = [];
  }

  async carryOut([verb, ...words]) {
    switch (verb) {
      case "hello":
        return this.greet(JSON.parse(words.join(" ")));
      case "open":
        this.clear();
        this.runtime = this.makeRuntime(this.device, this.pipelines);
        return;
      case "alloc":
        this.buffers.set(words[0], this.runtime.alloc(Number(words[1])));
        return;
      case "write":
        return this.runtime.write(this.find(words[0]), Number(words[1]), bytesOf(words[2]));
      case "dispatch":
        return this.dispatch(...words);
      case "copy": {
        const [source, sourceOffset, target, targetOffset, size] = words;
        const place = [this.find(target), Number(targetOffset), Number(size)];
        return this.runtime.copy(this.find(source), Number(sourceOffset), ...place);
      }
      case "read":
        return this.read(words[0], Number(words[1]), Number(words[2]), words[4]);
      case "free":
        this.runtime.free(this.find(words[0]));
        this.buffers.delete(words[0]);
        return;
      case "flush":
        return this.runtime.flush();
      case "await":
        await this.reads.get(words[0]);
        return;
      case "sync":
        await this.runtime.sync();
        return this.throwUncaptured();
      case "close":
        await this.runtime.close();
        return this.throwUncaptured();
      default:
        throw new Error(`no such op: ${verb}`);
    }
  }

  async greet({ kernels }) {
    this.kernels = new Map(kernels.map((kernel) => [kernel.name, kernel]));
    this.device = await this.openDevice();
    this.device.addEventListener("uncapturederror", ({ error }) => (this.uncaptured ??= error));
    this.pipelines = new Map();
    const { vendor, architecture, description } = this.device.adapterInfo;
    const promises = { refuses: false, byte_exact: false, orders_deliveries: true };
    const words = [vendor, architecture, description].filter(Boolean);
    return `ready ${JSON.stringify({ ...promises, description: words.join(" ") })}`;
  }

  dispatch(name, buffers, scalars, grid) {
    const kernel = this.kernels.get(name);
    let [x, y, z] = grid.split("x").map(Number);
    const groups = x * y * z;
    const payload = payloadOf(kernel, scalars, groups);
    if (Math.max(x, y, z) > MOST_GROUPS) {
      // Its guard leaves out the groups that are too many.
      [x, y, z] = [MOST_GROUPS, Math.ceil(groups / MOST_GROUPS), 1];
    }
    const bound = buffers.split(",").map((buffer) => this.find(buffer));
    this.runtime.dispatch(kernel, bound, payload, [x, y, z]);
  }

  read(buffer, offset, size, result) {
    const read = this.runtime.read(this.find(buffer), offset, size).then(
      (bytes) => this.arrived.push(`value ${result} ${hexOf(bytes)}`),
      (error) => this.arrived.push(`failed ${result} ${error.constructor.name} ${error.message}`),
    );
    this.reads.set(result, read);
  }

  find(name) {
    if (!this.buffers.has(name)) throw new Error(`no such buffer: ${name}`);
    return this.buffers.get(name);
  }

  takeArrived() {
    return this.arrived.splice(0);
  }

  // Errors of validation arrive late: a program is done with its sync and its close.
  throwUncaptured() {
    const error = this.uncaptured;
    this.uncaptured = null;
    if (error) throw error;
  }
}

// The content of a kernel's uniform buffer: its scalars, then, if it is guarded, the workgroups.
function payloadOf({ scalars: dtypes, guarded, uniform_bytes }, scalars, groups) {
  const view = new DataView(new ArrayBuffer(uniform_bytes));
  const set = { u32: "setUint32", i32: "setInt32", f32: "setFloat32" };
  const values = scalars === "-" ? [] : scalars.split(",");
  values.forEach((value, at) => view[set[dtypes[at]]](4 * at, Number(value), true));
  if (guarded) view.setUint32(4 * dtypes.length, groups, true);
  return new Uint8Array(view.buffer);
}

function bytesOf(hex) {
  const pairs = hex === "-" ? [] : hex.match(/../g);
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") || "-";
}
