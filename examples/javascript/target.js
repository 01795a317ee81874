// The lines of the judge, for a runtime in JavaScript; docs/JUDGING.md has what goes back and forth.
//
// `served(openDevice, makeRuntime, promises)` is the function that answers a line.  The runtime has
// alloc, write, dispatch, copy, read, free, flush, sync and close, as in runtime.js; one that reads
// into arrays which the caller names (`delivery: "array"`) has `readInto` in the place of `read`; one
// that promises `replays` has `capture(commands)`, which gives a graph, and `replay(graph, scalars,
// bindings)`: for each dispatch its scalars or null, and a map from captured handles to others.
// `promises` are those of docs/JUDGING.md by name, or a function of the kernels that gives them;
// where there are none, WebGPU's own rules.  A runtime without WebGPU has null as its device.  A name
// that was freed still finds its handle, so that the runtime itself meets stale handles: a runtime
// that promises something of them may promise `handles` too.

const SHARED_BYTES = 4096;
const SPOILT = 0xee;

export function served(openDevice, makeRuntime, promises = {}) {
  const target = new Target(openDevice, makeRuntime, promises);
  watchRejections((reason) => {
    target.unhandled ??= Object.assign(new UnhandledRejection(String(reason)), { stack: reason?.stack });
  });
  return async (line) => {
    let outcome = "ok";
    try {
      const carried = target.carryOut(line.trim().split(" "));
      // Disturbed, a step of the program decides when the promises that it waits for settle.
      outcome = (await (target.adversary?.until(carried) ?? carried)) ?? "ok";
    } catch (error) {
      outcome = told("error", error);
    }
    return [...target.takeArrived(), outcome].join("\n");
  };
}

class StoredLate extends Error {}

// A promise of the runtime's that nobody handles: Node and Deno end when it is rejected.
class UnhandledRejection extends Error {}

class Target {
  constructor(openDevice, makeRuntime, promises) {
    this.openDevice = openDevice;
    this.makeRuntime = makeRuntime;
    this.promises = promises;
    this.kernels = new Map();
    this.uncaptured = null;
    this.unhandled = null;
    this.adversary = null;
    this.clear();
  }

  clear() {
    this.buffers = new Map();
    this.reads = new Map();
    this.graphs = new Map();
    this.arrived = [];
    this.arrays = new Map();
    this.reclaimed = new Set();
    this.inArrays = [];
    this.syncs = new Map();
  }

  async carryOut([verb, ...words]) {
    switch (verb) {
      case "hello":
        return this.greet(JSON.parse(words.join(" ")));
      case "adversary":
        return this.takeAdversary(JSON.parse(words.join(" ")));
      case "collect":
        this.clear();
        this.runtime = null;
        if (!(await this.adversary.collect())) throw new Error("the engine does not collect on request");
        return;
      case "open":
        this.clear();
        await this.adversary?.begin(words.length ? JSON.parse(words.join(" ")) : {});
        this.unhandled = null;
        if (this.isLost) await this.start();
        this.runtime = this.makeRuntime(this.device, this.pipelines);
        return;
      case "alloc":
        this.buffers.set(words[0], await this.runtime.alloc(Number(words[1])));
        return;
      case "write":
        return this.write(words[0], Number(words[1]), bytesOf(words[2]));
      case "spoilt":
        return this.writeSpoilt(words[1], Number(words[2]), bytesOf(words[3]));
      case "dispatch":
        return this.dispatch(...words);
      case "copy": {
        const [source, sourceOffset, target, targetOffset, size] = words;
        const place = [this.find(target), Number(targetOffset), Number(size)];
        return this.runtime.copy(this.find(source), Number(sourceOffset), ...place);
      }
      case "capture":
        this.graphs.set(words[0], await this.runtime.capture(this.commandsOf(words.slice(1))));
        return;
      case "replay":
        return this.replay(...words);
      case "read":
        return this.read(words[0], Number(words[1]), Number(words[2]), words[4]);
      case "into":
        return this.readShared(words[0], words[2], Number(words[3]), Number(words[4]), words[6]);
      case "free":
        return this.runtime.free(this.find(words[0]));
      case "flush":
        return this.runtime.flush();
      case "await":
        await this.reads.get(words[0]);
        return;
      case "sync":
        return this.wait(this.runtime.sync());
      case "reclaim":
        return this.reclaim(words[0]);
      case "begin":
        return this.beginSync(words[0]);
      case "beside":
        this.beginSync(words[0]);
        return this.wait(this.runtime.sync());
      case "end":
        return this.wait(this.syncs.get(words[0]));
      case "close":
        await this.runtime.close();
        this.throwUncaptured();
        if (this.unhandled) throw this.unhandled;
        return;
      default:
        throw new Error(`no such op: ${verb}`);
    }
  }

  async greet({ kernels }) {
    this.kernels = new Map(kernels.map((kernel) => [kernel.name, kernel]));
    if (typeof this.promises === "function") this.promises = this.promises(kernels);
    await this.start();
    const { vendor, architecture, description } = this.device?.adapterInfo ?? {};
    const words = [vendor, architecture, description].filter(Boolean).join(" ");
    const { promises } = this;
    return `ready ${JSON.stringify({ version: 2, promises, description: words, layer: true })}`;
  }

  async start() {
    this.isLost = false;
    this.device = await this.openDevice();
    this.device?.lost.then(() => (this.isLost = true));
    this.device?.addEventListener("uncapturederror", ({ error }) => (this.uncaptured ??= error));
    this.pipelines = new Map();
  }

  // The layer between the runtime and WebGPU comes as the text of a module.  It sees a device from
  // its beginning, so that there is a new one.
  async takeAdversary(source) {
    const { install } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
    const tell = (event) => this.arrived.push(`event ${JSON.stringify(event)}`);
    this.adversary = install({ driven: true, tell });
    await this.start();
  }

  dispatch(...words) {
    const { kernel, buffers, scalars, grid } = this.dispatchOf(words);
    this.runtime.dispatch(kernel, buffers, scalars, grid);
  }

  dispatchOf([name, buffers, scalars, grid]) {
    return {
      kernel: this.kernels.get(name),
      buffers: buffers.split(",").map((buffer) => this.find(buffer)),
      scalars: scalarsOf(scalars),
      grid: grid.split("x").map(Number),
    };
  }

  // Dispatches, and copies as `{ source, sourceOffset, target, targetOffset, size }`.
  commandsOf(words) {
    const lines = words.join(" ") === "-" ? [] : words.join(" ").split("; ");
    return lines.map((line) => {
      const [verb, ...operands] = line.split(" ");
      if (verb === "dispatch") return this.dispatchOf(operands);
      const [sourceOffset, targetOffset, size] = [operands[1], operands[3], operands[4]].map(Number);
      const [source, target] = [this.find(operands[0]), this.find(operands[2])];
      return { source, sourceOffset, target, targetOffset, size };
    });
  }

  replay(graph, scalars, pairs) {
    const entries = scalars === ";" ? [] : scalars.split(";");
    const given = scalars === "*" ? null : entries.map((word) => (word === "_" ? null : scalarsOf(word)));
    const swaps = pairs === "-" ? [] : pairs.split(",").map((pair) => pair.split("="));
    const bindings = new Map(swaps.map((pair) => pair.map((name) => this.find(name))));
    return this.runtime.replay(this.graphs.get(graph), given, bindings);
  }

  write(buffer, offset, bytes) {
    return this.runtime.write(this.find(buffer), offset, bytes);
  }

  // What is in the caller's array after the call is nothing to the runtime.
  writeSpoilt(buffer, offset, bytes) {
    const written = this.write(buffer, offset, bytes);
    const spoil = () => void bytes.fill(SPOILT);
    return written?.finally ? written.finally(spoil) : spoil();
  }

  read(buffer, offset, size, result) {
    if (this.promises.delivery === "array") {
      return this.readInto(buffer, offset, size, result, new Uint8Array(Math.max(size, 0)));
    }
    // One that arrives after its program has ended is told to nobody.
    const { arrived } = this;
    const read = this.runtime.read(this.find(buffer), offset, size).then(
      (bytes) => arrived.push(`value ${result} ${hexOf(bytes)}`),
      (error) => arrived.push(told(`failed ${result}`, error)),
    );
    this.reads.set(result, read);
  }

  // The array has the bytes once a sync has returned.
  readInto(buffer, offset, size, result, array) {
    this.runtime.readInto(this.find(buffer), offset, size, array);
    this.inArrays.push({ result, array, size });
  }

  readShared(name, buffer, offset, size, result) {
    if (!this.arrays.has(name)) this.arrays.set(name, new Uint8Array(SHARED_BYTES));
    this.reclaimed.delete(name);
    this.readInto(buffer, offset, size, result, this.arrays.get(name));
  }

  // The array is its caller's again: nothing else may change it from now on.
  reclaim(name) {
    const array = this.arrays.get(name);
    const isKept = !this.reclaimed.has(name) || array.every((byte) => byte === SPOILT);
    this.reclaimed.add(name);
    array.fill(SPOILT);
    if (!isKept) throw new StoredLate(`array ${name} was changed after its caller took it back`);
  }

  // What it fails with is told where it is waited for.  Its reads have failed then, though another
  // sync may end well.
  beginSync(name) {
    const reads = [...this.inArrays];
    const sync = this.runtime.sync();
    sync.catch((error) => reads.forEach((read) => (read.error = error)));
    this.syncs.set(name, sync);
  }

  // Nobody can say which reads a sync that fails has cost, so that all of them have failed.
  async wait(sync) {
    try {
      await sync;
    } catch (error) {
      this.uncaptured = null; // It is told by this error already.
      const lost = this.inArrays.splice(0);
      this.arrived.push(...lost.map(({ result }) => told(`failed ${result}`, error)));
      throw error;
    }
    this.synced();
  }

  synced() {
    for (const { result, array, size, error } of this.inArrays.splice(0)) {
      const value = `value ${result} ${hexOf(array.subarray(0, size))}`;
      this.arrived.push(error ? told(`failed ${result}`, error) : value);
    }
    this.throwUncaptured();
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

function watchRejections(tell) {
  if (!globalThis.addEventListener) return process.on("unhandledRejection", tell);
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    tell(event.reason);
  });
}

// An error is one line, and where it came from stands on lines before that.
function told(answer, error) {
  const stack = (error.stack ?? "").split("\n").filter(Boolean);
  const message = error.message.replaceAll("\n", " / ");
  const details = stack.map((line) => `detail ${line}`);
  return [...details, `${answer} ${error.constructor.name} ${message}`].join("\n");
}

function scalarsOf(word) {
  return word === "-" ? [] : word.split(",").map(Number);
}

function bytesOf(hex) {
  const pairs = hex === "-" ? [] : hex.match(/../g);
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16));
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") || "-";
}
