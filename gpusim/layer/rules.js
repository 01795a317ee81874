// The sanitizer's rules over events, as gpusim/layer/rules has them in Python: the same findings, in
// the same words, on the same events.  Two rules of docs/SANITIZE.md are Python's alone: in JavaScript
// unmap() detaches the views, and finish() raises nothing.
//
// A check has a method for each kind of event that it looks at, which gives findings.  The scene is as
// it was before the event; only the command that an event records is in the scene already.  Pure:
// nothing here calls a device or prints.

import { RECORDED, Scene, nameOf, overwritesOf, readsOf, shown } from "./scene.js";

const FEWEST_FORGOTTEN = 32;
const MOST_QUEUED_BYTES = 64 * 2 ** 20;
const MOST_QUEUED_WRITES = 16384;
const OVERWRITTEN_TIMES = 4;

const at = (doing, site) => ({ doing, site });

// Appends a value to the list of a key.
function addTo(map, key, value) {
  if (map.has(key)) map.get(key).push(value);
  else map.set(key, [value]);
}

class OvertakingWrite {
  constructor(scene) {
    Object.assign(this, { scene, unread: new Map(), overtaken: new Map() });
  }

  *write_buffer({ buffer, offset, size_bytes, digest, site }) {
    const call = { site, wrote: `${offset} ${size_bytes} ${digest}` };
    const write = { start: offset, end: offset + size_bytes, call, readers: [] };
    for (const old of this.cut(buffer, write.start, write.end)) {
      const isSame = old.call.wrote === call.wrote;
      if (isSame) write.readers.push(...old.readers);
      // A reader of some of the bytes is enough: a pool may write more bytes than it uses.
      if (isSame || old.call.hasReader) continue;
      const [start, end] = [Math.max(old.start, write.start), Math.min(old.end, write.end)];
      const pair = { buffer, start, end, first: old.call.site, second: site };
      for (const command of old.readers) {
        if (!touches(command, pair)) continue;
        addTo(this.overtaken, command, pair);
      }
    }
    if (size_bytes) addTo(this.unread, buffer, write);
  }

  *record(event) {
    const encoder = this.scene.encoders.get(event.encoder);
    if (!encoder || event.kind === "clear") return;
    for (const [buffer, start, end] of readsOf(event)) {
      const isOver = ([other, low, high]) => other === buffer && low <= start && end <= high;
      if (encoder.overwritten.some(isOver)) continue;
      for (const write of this.unread.get(buffer) ?? []) {
        if (write.start < end && start < write.end) write.readers.push(event);
      }
    }
  }

  *map({ buffer, offset, size_bytes }) {
    this.read(buffer, offset, offset + size_bytes);
  }

  *submit({ command_buffers: numbers, site }) {
    const known = numbers.map((each) => this.scene.commandBuffers.get(each));
    for (const command of known.flatMap((recorded) => recorded?.commands ?? [])) {
      for (const pair of this.overtaken.get(command) ?? []) yield this.finding(command, pair, site);
      this.overtaken.delete(command);
      for (const range of readsOf(command)) this.read(...range);
      for (const range of overwritesOf(command)) {
        this.read(...range);
        this.spare(...range);
      }
    }
  }

  *collect_buffer({ buffer }) {
    this.unread.delete(buffer);
  }

  *collect_encoder({ encoder }) {
    this.forget(this.scene.encoders.get(encoder));
  }

  *collect_command_buffer({ command_buffer }) {
    this.forget(this.scene.commandBuffers.get(command_buffer));
  }

  // What is never submitted reads nothing.
  forget(recorded) {
    for (const command of recorded?.commands ?? []) this.overtaken.delete(command);
  }

  read(buffer, start, end) {
    for (const write of this.cut(buffer, start, end)) write.call.hasReader = true;
  }

  // Forgets the bytes of a range; gives the writes that had some of them, in the order of their bytes.
  cut(buffer, start, end) {
    const writes = this.unread.get(buffer) ?? [];
    const isIn = (write) => write.start < end && start < write.end;
    const touched = writes.filter(isIn);
    if (!touched.length) return touched;
    const left = touched.flatMap((write) => [
      { ...write, end: start, readers: [...write.readers] },
      { ...write, start: end, readers: [...write.readers] },
    ]);
    const kept = writes.filter((write) => !isIn(write));
    this.unread.set(buffer, [...kept, ...left.filter((write) => write.start < write.end)]);
    return touched.sort((one, two) => one.start - two.start);
  }

  // Forgets overtaken writes whose bytes a submitted command has replaced since.
  spare(buffer, start, end) {
    for (const [command, pairs] of this.overtaken) {
      const isLeft = (pair) => pair.buffer !== buffer || pair.start < start || end < pair.end;
      this.overtaken.set(command, pairs.filter(isLeft)); // prettier-ignore
    }
  }

  finding(command, { buffer, start, end, first, second }, site) {
    const name = nameOf(this.scene.buffers.get(buffer), buffer);
    const [kind, place] = [shown(command), command.site];
    return {
      finding: `a ${kind} sees bytes ${start} to ${end - 1} of ${name} as they were left by a queue write that was made after the ${kind} was recorded`,
      places: [
        at("the bytes are written", first),
        at(`the ${kind} that reads them is recorded`, place),
        at("they are overwritten before it is submitted", second),
        at(`the ${kind} is submitted`, site),
      ],
    };
  }
}

function touches(command, pair) {
  const isOver = ([buffer, start, end]) =>
    buffer === pair.buffer && start < pair.end && pair.start < end;
  return readsOf(command).some(isOver);
}

class WrongSubmit {
  constructor(scene) {
    this.scene = scene;
  }

  *submit({ command_buffers: numbers, device, site }) {
    for (const [place, number] of numbers.entries()) {
      const recorded = this.scene.commandBuffers.get(number);
      const isAgain = numbers.indexOf(number) < place;
      const wrong = recorded && this.wrong(recorded, `command buffer ${number}`, device, isAgain);
      if (!wrong) continue;
      yield { finding: wrong[0], places: [...wrong[1], at("it is submitted", site)] };
      return;
    }
  }

  wrong(recorded, name, device, isAgain) {
    const made = at(`${name} is finished`, recorded.finishedSite);
    if (recorded.device !== device) return [`${name} is submitted to a device that did not make it`, [made]];
    const first = at("it is submitted first", recorded.submittedSite);
    if (recorded.isSubmitted) return [`${name} is submitted a second time`, [made, first]];
    if (isAgain) return [`${name} is twice in one submit`, [made]];
    for (const [number, command] of recorded.used) {
      const buffer = this.scene.buffers.get(number);
      if (buffer && (buffer.isDestroyed || buffer.mapState !== "unmapped")) return unavailable(buffer, command);
    }
    return null;
  }
}

function unavailable(buffer, command) {
  const [kind, name] = [shown(command), nameOf(buffer)];
  const recorded = at(`the ${kind} that uses it is recorded`, command.site);
  const what = `a submitted ${kind} uses ${name}, which is`;
  if (buffer.isDestroyed) return [`${what} destroyed`, [recorded, at("it is destroyed", buffer.destroyedSite)]];
  const state = buffer.mapState === "mapped" ? "mapped" : "not mapped yet, but its map is pending";
  return [`${what} ${state}`, [recorded, at("it is mapped", buffer.mapSite)]];
}

class DestroyedDevice {
  constructor(scene) {
    this.scene = scene;
  }

  *submit({ command_buffers: numbers, device, site }) {
    const destroyed = this.scene.destroyedDevices;
    if (!numbers.length || !destroyed.has(device)) return;
    const places = [
      at("the device is destroyed", destroyed.get(device)),
      at("commands are submitted to it", site),
    ];
    yield { finding: "commands are submitted to a destroyed device", places };
  }
}

class AliasedBindings {
  constructor(scene) {
    this.scene = scene;
  }

  *dispatch({ bound, site }) {
    for (const [index, [buffer, one, size, access]] of bound.entries()) {
      for (const [other, two, otherSize, otherAccess] of bound.slice(index + 1)) {
        const overlap = buffer === other && one < two + otherSize && two < one + size;
        const words = [access, otherAccess];
        if (!overlap || !words.includes("read_write") || words.includes("unknown")) continue;
        const known = this.scene.buffers.get(buffer);
        const finding = `a dispatch binds byte ${Math.max(one, two)} of ${nameOf(known, buffer)} twice, and one of the two is writable`;
        const places = [at("the buffer is made", known?.site ?? ""), at("the dispatch is recorded", site)];
        yield { finding, places };
        return;
      }
    }
  }
}

class WrittenWhileMapped {
  constructor(scene) {
    this.scene = scene;
  }

  *write_buffer({ buffer, site }) {
    const known = this.scene.buffers.get(buffer);
    if (!known || known.mapState === "unmapped") return;
    const state = known.mapState === "pending" ? "while its map is pending" : "while it is mapped";
    const places = [at("the map is asked for", known.mapSite), at("the buffer is written", site)];
    yield { finding: `${nameOf(known)} is written ${state}`, places };
  }
}

class EndlessWrites {
  constructor(scene) {
    this.scene = scene;
    this.reset();
  }

  reset() {
    Object.assign(this, { bytes: 0, writes: 0, sizes: new Map(), first: "", isTold: false });
  }

  *submit() {
    this.reset();
  }

  *write_buffer({ buffer, size_bytes, site }) {
    this.bytes += size_bytes;
    this.writes += 1;
    this.first ||= site;
    this.sizes.set(buffer, this.scene.buffers.get(buffer)?.size_bytes ?? size_bytes);
    if (this.isTold || !this.isMuch()) return;
    this.isTold = true;
    const what = `${this.writes} queue writes to ${this.sizes.size} buffers, ${this.bytes} bytes together,`;
    const places = [at("the first is made", this.first), at("the last so far is made", site)];
    yield { finding: `${what} were made without a submit, and hold host memory`, places };
  }

  isMuch() {
    if (this.bytes < MOST_QUEUED_BYTES && this.writes < MOST_QUEUED_WRITES) return false;
    return this.bytes >= OVERWRITTEN_TIMES * [...this.sizes.values()].reduce((sum, size) => sum + size, 0);
  }
}

class GrowingBuffers {
  constructor(scene) {
    this.scene = scene;
  }

  *atEnd() {
    const bySite = new Map();
    for (const buffer of this.scene.buffers.values()) {
      if (buffer.isDestroyed || buffer.usedStep > buffer.createdStep + 1) continue;
      addTo(bySite, buffer.site, buffer);
    }
    for (const [site, buffers] of bySite) {
      const steps = [...new Set(buffers.map(({ createdStep }) => createdStep))];
      const late = steps.filter((step) => step > Math.floor(this.scene.step / 2));
      if (steps.length < FEWEST_FORGOTTEN || late.length < FEWEST_FORGOTTEN / 4) continue;
      const total = buffers.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
      const what = `${buffers.length} buffers, ${total} bytes together, are neither destroyed nor collected`;
      const finding = `${what}, and nothing uses them any more; they were made in ${steps.length} steps`;
      const last = `${nameOf(buffers.at(-1))} is the last`;
      yield { finding, places: [at(`${nameOf(buffers[0])} is the first`, site), at(last, site)] };
    }
  }
}

const CHECKS = {
  "overtaking-write": OvertakingWrite,
  "wrong-submit": WrongSubmit,
  "destroyed-device": DestroyedDevice,
  "aliased-bindings": AliasedBindings,
  "written-while-mapped": WrittenWhileMapped,
  "growing-buffers": GrowingBuffers,
  "endless-writes": EndlessWrites,
};

// Shows one event after the other to the rules.  `onReport` gets each finding; of the findings of
// one rule at the same lines, only the first.
export class Rules {
  constructor(onReport) {
    this.scene = new Scene();
    this.checks = Object.entries(CHECKS).map(([rule, Check]) => [rule, new Check(this.scene)]);
    Object.assign(this, { onReport, told: new Set() });
  }

  see(event) {
    const isRecorded = RECORDED.has(event.kind);
    if (isRecorded) this.scene.apply(event);
    for (const [rule, check] of this.checks) {
      const looks = [check[event.kind], isRecorded && check.record].filter(Boolean);
      for (const look of looks) this.report(rule, look.call(check, event));
    }
    if (!isRecorded) this.scene.apply(event);
  }

  // What shows only at the end of the program.
  finish() {
    for (const [rule, check] of this.checks) if (check.atEnd) this.report(rule, check.atEnd());
  }

  report(rule, findings) {
    for (const { finding, places } of findings) {
      const key = JSON.stringify([rule, ...places.map(({ site }) => site)]);
      if (this.told.has(key)) continue;
      this.told.add(key);
      this.onReport({ rule, finding, places });
    }
  }
}
