// A layer between a program and WebGPU: it watches every call, and disturbs what the specification
// leaves open.  A plain module without dependencies, for browsers, Node's Dawn and Deno.
//
// It patches the prototypes of WebGPU's classes.  A program keeps its native objects, so that
// `instanceof` and native calls stay what they were; the layer keeps what it knows of an object in a
// WeakMap.  `install` patches once.
//
// What it may disturb is in the specification's "Promise Ordering": maps settle in any order; a
// work-done settles after the maps and the work-dones that were asked for before it; nothing more is
// promised.  So the program gets promises of the layer, which settles them after the device has
// settled its own, in an order that follows from a seed.  A buffer says "pending" until the layer has
// settled its map.  On request, calls that are named by their number fail: maps, and creations of
// buffers.  A submit that is named so loses the device.
//
// Who runs a program step by step (`driven`) calls `begin`, and `until` for each step: then no
// timing decides the order in which promises settle.  Otherwise the layer settles them by itself, at
// most one in a turn of the event loop.  Nothing here judges what it sees.

import { CALLS } from "./calls.js";
import { Watched, callSite } from "./watched.js";

// A style says which held promise settles next.  After a step, fewer promises settle than the pace
// says.  With pace 1 none does, so a promise settles only when a step waits.  The seeds 0 to 5 have
// every pair of a style and a pace.
const STYLES = ["any", "last", "first"];
const PACES = [3, 1];
const COLLECTIONS = 4; // More than one: an object that a collection drops may have held others.

let installed = null;

// The layer of this program; `tell` gets each event as {kind, ..., site}, with the names of
// docs/SANITIZE.md.
export function install({ tell = () => {}, seed = null, driven = false } = {}) {
  installed ??= new Adversary();
  Object.assign(installed, { tell, driven });
  installed.begin({ seed });
  return installed;
}

class Adversary {
  constructor() {
    this.held = [];
    this.pending = new WeakMap();
    this.scopes = new WeakMap();
    this.native = {};
    this.known = new Watched();
    this.collected = new FinalizationRegistry((about) => {
      this.told(`collect_${Object.keys(about)[0]}`, about);
    });
    patchAll(this);
  }

  // A new program: its calls are counted from 0, and what is drawn follows from its seed.  Without a
  // seed nothing is disturbed.  The promises that the last program has left settle first.
  async begin({ seed = null, failed_maps = [], out_of_memory = [], lost_at_submit = null } = {}) {
    while (this.held.length) await this.advance();
    this.isQuiet = seed === null;
    this.draw = drawing(seed);
    this.style = STYLES[seed % STYLES.length];
    this.pace = PACES[Math.floor(seed / STYLES.length) % PACES.length];
    this.failing = { map: failed_maps, buffer: out_of_memory, submit: [lost_at_submit] };
    this.calls = { map: 0, buffer: 0, submit: 0 };
  }

  // Gives what `step` promises.  While `step` waits, and sometimes after it, held promises settle.
  async until(step) {
    if (this.isQuiet) return step;
    let isDone = false;
    const done = () => (isDone = true);
    step.then(done, done);
    await turn();
    while (!isDone) await this.advance();
    for (let more = this.draw(this.pace); more > 0; more--) await this.advance();
    return step;
  }

  // Settles one held promise, once the device has settled its own promise for each that is held, so
  // that the device's speed decides nothing.
  async advance() {
    // While this waits for the device, the program may get further promises, which are held too.
    while (this.held.some((each) => !("outcome" in each))) {
      await Promise.all(this.held.map((each) => each.native));
    }
    const free = this.held.filter((each, at) => this.maySettle(each, at));
    if (free.length) this.choose(free).settle();
    await turn();
  }

  maySettle(each, at) {
    return each.kind === "map" || at === 0;
  }

  choose(free) {
    if (this.style === "first") return free[0];
    return this.style === "last" ? free.at(-1) : free[this.draw(free.length)];
  }

  // Counts a call, and gives whether it is to fail.
  fails(kind) {
    return this.failing[kind].includes(this.calls[kind]++);
  }

  // Makes a promise in the place of `native`.  When its turn comes, `end` is called with the error of
  // `native`, or null.  `end` gives the error with which the new promise is rejected, or null if it is
  // fulfilled.
  hold(kind, native, end) {
    const held = { kind };
    const promise = new Promise((resolve, reject) => {
      held.native = native.then(
        () => (held.outcome = null),
        (error) => (held.outcome = error),
      );
      held.end = (error) => {
        if (held.isOver) return;
        held.isOver = true;
        this.held = this.held.filter((each) => each !== held);
        const outcome = end(error);
        if (outcome) reject(outcome);
        else resolve();
      };
    });
    held.settle = () => held.end(held.outcome);
    if (this.isQuiet) held.native.then(held.settle);
    else this.held.push(held);
    if (!this.driven && !this.isQuiet) this.settleFreely();
    return { held, promise };
  }

  // Has the engine collect what the program has dropped; gives false if the engine cannot.
  async collect() {
    const collectGarbage = collector();
    for (let rounds = 0; collectGarbage && rounds < COLLECTIONS; rounds++) {
      await turn();
      collectGarbage();
      await turn();
    }
    return Boolean(collectGarbage);
  }

  async settleFreely() {
    if (this.isSettling) return;
    this.isSettling = true;
    while (this.held.length) {
      await turn();
      if (this.draw(2)) await this.advance();
    }
    this.isSettling = false;
  }

  // Emits one event; gives its number, by which later events refer to it.
  told(kind, about) {
    this.tell({ kind, ...about, site: callSite() ?? "" });
    return ++this.known.events;
  }
}

function patchAll(layer) {
  for (const [kind, methods] of Object.entries(CALLS)) {
    const { prototype } = globalThis[kind];
    layer.native[kind] = {};
    for (const [name, call] of Object.entries(methods)) {
      const native = (layer.native[kind][name] = prototype[name]);
      prototype[name] = function (...args) {
        const first = layer.known.events + 1;
        try {
          return call(layer, (...given) => native.apply(this, given), this, args);
        } catch (error) {
          const about = { call: layer.known.events < first ? null : first, type: "exception" };
          layer.told("error", { ...about, message: `${error.name} ${error.message}` });
          throw error;
        }
      };
    }
  }
  const { prototype } = GPUBuffer;
  const { get } = Object.getOwnPropertyDescriptor(prototype, "mapState");
  const mapState = function () {
    return layer.pending.has(this) ? "pending" : get.call(this);
  };
  Object.defineProperty(prototype, "mapState", { get: mapState, enumerable: true, configurable: true });
}

// Gives a function that draws whole numbers below its argument.  They follow from the seed
// (mulberry32).
function drawing(seed) {
  let state = seed >>> 0;
  return (most) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % most;
  };
}

// Gives the function with which the engine collects garbage, or nothing if it has none.  It is a
// global if the engine was started with --expose-gc; Node also makes it on request.
function collector() {
  const builtin = globalThis.process?.getBuiltinModule;
  if (globalThis.gc || !builtin) return globalThis.gc;
  builtin("node:v8").setFlagsFromString("--expose-gc");
  return (globalThis.gc = builtin("node:vm").runInNewContext("gc"));
}

// Ends once the program has done all that it can do before another promise settles.
function turn() {
  if (globalThis.setImmediate) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
