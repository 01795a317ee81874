// What the events so far say about buffers, encoders and command buffers; the rules look at it.  It
// judges nothing.  gpusim/layer/scene.py says the same in Python.

// A recorded command is applied before the rules see it, so that they find it in its encoder.
export const RECORDED = new Set(["dispatch", "copy", "clear", "use"]);

export function nameOf(buffer, number) {
  if (!buffer) return `buffer ${number}`;
  return `buffer ${buffer.number}${buffer.label ? ` '${buffer.label}'` : ""}`;
}

export const shown = ({ kind, call }) => (kind === "use" ? call : kind);

export function readsOf({ kind, bound, indirect, reads, source, source_offset: from, size_bytes: size }) {
  if (kind === "copy") return [[source, from, from + size]];
  if (kind === "use") return reads.map(([buffer, at, bytes]) => [buffer, at, at + bytes]);
  if (kind !== "dispatch") return [];
  const ranges = bound.map(([buffer, at, bytes]) => [buffer, at, at + bytes]);
  return indirect ? [...ranges, [indirect[0], indirect[1], indirect[1] + 12]] : ranges;
}

export function overwritesOf({ kind, target, target_offset: at, buffer, offset, size_bytes: size }) {
  if (kind === "copy") return [[target, at, at + size]];
  return kind === "clear" ? [[buffer, offset, offset + size]] : [];
}

function usesOf(command) {
  const writes = command.kind === "use" ? command.writes : [];
  return [...readsOf(command), ...overwritesOf(command), ...writes].map(([buffer]) => buffer);
}

export class Scene {
  constructor() {
    this.buffers = new Map();
    this.encoders = new Map();
    this.commandBuffers = new Map();
    this.destroyedDevices = new Map();
    this.maps = new Map();
    this.step = 0;
  }

  apply(event) {
    const handler = RECORDED.has(event.kind) ? "record" : event.kind;
    this[handler]?.(event);
  }

  create_buffer(event) {
    const { buffer: number, label, size_bytes, mapped_at_creation: isMapped, site } = event;
    const state = isMapped ? { mapState: "mapped", mapSite: site } : { mapState: "unmapped", mapSite: "" };
    const steps = { createdStep: this.step, usedStep: this.step };
    this.buffers.set(number, { number, label, size_bytes, site, ...state, ...steps, map: 0 });
  }

  collect_buffer({ buffer }) {
    this.buffers.delete(buffer);
  }

  collect_encoder({ encoder }) {
    this.encoders.delete(encoder);
  }

  collect_command_buffer({ command_buffer }) {
    this.commandBuffers.delete(command_buffer);
  }

  destroy_buffer({ buffer, site }) {
    const known = this.buffers.get(buffer);
    if (!known || known.isDestroyed) return;
    Object.assign(known, { isDestroyed: true, destroyedSite: site, mapState: "unmapped" });
  }

  destroy_device({ device, site }) {
    this.destroyedDevices.set(device, site);
  }

  map({ map, buffer, site }) {
    const known = this.buffers.get(buffer);
    if (known?.mapState !== "unmapped") return;
    Object.assign(known, { mapState: "pending", mapSite: site, map, usedStep: this.step });
    this.maps.set(map, buffer);
  }

  settle_map({ map, error }) {
    const known = this.buffers.get(this.maps.get(map));
    this.maps.delete(map);
    if (known?.map !== map || known.mapState !== "pending") return;
    known.mapState = error === null ? "mapped" : "unmapped";
  }

  unmap({ buffer }) {
    const known = this.buffers.get(buffer);
    if (known) known.mapState = "unmapped";
  }

  write_buffer({ buffer }) {
    const known = this.buffers.get(buffer);
    if (known) known.usedStep = this.step;
  }

  create_encoder({ encoder, device, site }) {
    this.encoders.set(encoder, newEncoder(device, site));
  }

  record(event) {
    const encoder = this.encoders.get(event.encoder);
    if (!encoder) return;
    encoder.commands.push(event);
    for (const buffer of usesOf(event)) if (!encoder.used.has(buffer)) encoder.used.set(buffer, event);
    encoder.overwritten.push(...overwritesOf(event));
  }

  finish({ encoder, command_buffer, device, site }) {
    const recorded = this.encoders.get(encoder) ?? newEncoder(device, "");
    this.encoders.delete(encoder);
    this.commandBuffers.set(command_buffer, Object.assign(recorded, { finishedSite: site }));
  }

  submit({ command_buffers: numbers, site }) {
    this.step += numbers.length > 0;
    for (const recorded of numbers.map((each) => this.commandBuffers.get(each)).filter(Boolean)) {
      for (const buffer of recorded.used.keys()) {
        if (this.buffers.has(buffer)) this.buffers.get(buffer).usedStep = this.step;
      }
      Object.assign(recorded, newEncoder(recorded.device, recorded.site), { submittedSite: site, isSubmitted: true }); // prettier-ignore
    }
  }
}

function newEncoder(device, site) {
  return { device, site, commands: [], used: new Map(), overwritten: [] };
}
