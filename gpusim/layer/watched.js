// What the layer knows of the objects that it saw: their numbers in events, what is bound to them, and
// where in the program a call stands.  Nothing here calls the device.

const OWN = ownFiles();

// The numbers of objects, and what must be remembered of them for later events.
export class Watched {
  constructor() {
    this.events = this.maps = this.works = 0;
    this.numbers = { buffer: new WeakMap(), device: new WeakMap(), group: new WeakMap(),
      pipeline: new WeakMap(), encoder: new WeakMap(), pass: new WeakMap(),
      command_buffer: new WeakMap() }; // prettier-ignore
    this.counts = {};
    this.devices = new WeakMap();
    this.owners = new WeakMap();
    this.lost = new WeakSet();
    this.groups = new WeakMap();
    this.access = new WeakMap();
    this.moved = new WeakMap();
    this.pipelines = new WeakMap();
    this.passes = new WeakMap();
  }

  // The number of an object, counted from 1 in its class.
  number(kind, object) {
    const numbers = this.numbers[kind];
    if (!numbers.has(object)) {
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      numbers.set(object, this.counts[kind]);
    }
    return numbers.get(object);
  }

  // The number of a device; 0 if the device was opened before the layer came.
  deviceOf(device) {
    return device ? this.number("device", device) : 0;
  }

  buffer(buffer, layer) {
    const isNew = !this.numbers.buffer.has(buffer);
    const number = this.number("buffer", buffer);
    if (isNew) layer.collected.register(buffer, { buffer: number });
    return number;
  }

  group(group, { layout, entries }) {
    const bound = [...entries].flatMap(({ binding, resource }) => {
      const { buffer, offset = 0, size } = resource instanceof GPUBuffer ? { buffer: resource } : resource;
      if (!(buffer instanceof GPUBuffer)) return [];
      return [[binding, this.number("buffer", buffer), offset, size ?? buffer.size - offset]];
    });
    this.groups.set(group, bound);
    this.moved.set(group, this.moved.get(layout) ?? []);
    return bound;
  }

  // How the layouts of groups, in order, let a shader use their bindings: {"0.1": "read"}.
  accessOf(layouts) {
    const named = [...layouts].map((layout, at) =>
      Object.entries(this.access.get(layout) ?? {}).map(([binding, word]) => [`${at}.${binding}`, word]),
    );
    return Object.fromEntries(named.flat());
  }

  pipeline(pipeline, { layout, compute, label = "" }, layer) {
    const access = this.access.get(layout === "auto" ? compute.module : layout) ?? {};
    this.pipelines.set(pipeline, access);
    const number = this.number("pipeline", pipeline);
    layer.told("create_pipeline", { pipeline: number, label, access });
    return pipeline;
  }

  // What is known of a pass; one that was begun before the layer came has nothing bound.
  passOf(pass) {
    if (!this.passes.has(pass)) this.passes.set(pass, { encoder: null, pass: null, groups: [] });
    return this.passes.get(pass);
  }

  // What a dispatch runs: the pipeline, and the bytes that it binds.
  dispatch(self) {
    const { encoder, pass, pipeline, groups } = this.passOf(self);
    const access = this.pipelines.get(pipeline) ?? {};
    const bound = groups.flatMap((set, at) => (set ? this.bound(set, at, access) : []));
    return { encoder, pass, pipeline: pipeline ? this.number("pipeline", pipeline) : null, bound };
  }

  bound({ group, dynamic }, at, access) {
    const moved = this.moved.get(group) ?? [];
    return (this.groups.get(group) ?? []).flatMap(([binding, buffer, offset, size]) => {
      const word = access[`${at}.${binding}`];
      // A binding that the pipeline does not have is not used.
      return word ? [[buffer, offset + (dynamic[moved.indexOf(binding)] ?? 0), size, word]] : [];
    });
  }
}

const USAGES = ["MAP_READ", "MAP_WRITE", "COPY_SRC", "COPY_DST", "INDEX", "VERTEX", "UNIFORM",
  "STORAGE", "INDIRECT", "QUERY_RESOLVE"]; // prettier-ignore

export function usageWords(usage) {
  return USAGES.filter((_, bit) => usage & (1 << bit));
}

export function accessInLayout({ entries }) {
  const words = { "read-only-storage": "read", uniform: "uniform", storage: "read_write" };
  const buffers = [...entries].filter(({ buffer }) => buffer);
  return Object.fromEntries(buffers.map(({ binding, buffer }) => [binding, words[buffer.type ?? "uniform"]]));
}

// The bindings of a layout that dynamic offsets move, in the order of the offsets.
export function movedInLayout({ entries }) {
  const moved = [...entries].filter(({ buffer }) => buffer?.hasDynamicOffset);
  return moved.map(({ binding }) => binding).sort((one, other) => one - other);
}

// A shader says what it does with a binding: `@group(0) @binding(1) var<storage, read_write> x`.
export function accessInText(code) {
  const bindings = /((?:@\w+\s*\([^)]*\)\s*)+)var\s*<\s*(uniform|storage)\s*(?:,\s*(\w+)\s*)?>/g;
  const access = {};
  for (const [, attributes, space, mode] of code.matchAll(bindings)) {
    const number = (name) => attributes.match(`@${name}\\s*\\(\\s*(\\d+)`)?.[1];
    access[`${number("group")}.${number("binding")}`] = space === "uniform" ? space : (mode ?? "read");
  }
  return access;
}

// A digest of some bytes of a buffer or a view (FNV-1a).
export function digestOf(data, from, size) {
  const [buffer, start] = ArrayBuffer.isView(data) ? [data.buffer, data.byteOffset] : [data, 0];
  let digest = 0x811c9dc5;
  for (const byte of new Uint8Array(buffer, start + from, size)) {
    digest = Math.imul(digest ^ byte, 0x01000193);
  }
  return digest >>> 0;
}

// "file:line" of the innermost frame that is not of this file or of the implementation.
export function callSite() {
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  const isOther = (frame) => /:\d+:\d+\)?$/.test(frame) && !OWN.some((file) => frame.includes(file));
  const frame = frames.find((each) => isOther(each) && !/\bnode:|\bext:/.test(each)) ?? "";
  return frame.match(/(?:^|[\s(@])([^\s(@]+:\d+):\d+\)?$/)?.[1];
}

// The files of the layer that are on the stack when it looks for a call site, or the one file into
// which they were joined.
function ownFiles() {
  const file = (new Error().stack ?? "").match(/[\s(@]([^\s(@]+?):\d+:\d+\)?(?:\n|$)/)?.[1];
  const names = ["watched", "failures", "calls", "adversary"];
  return file ? names.map((name) => file.replace(/watched\.js$/, `${name}.js`)) : [];
}
