// Ops as one ONNX graph.  Every value is made once: what an op writes is a new value of its buffer.
//
// Where a graph is for one size only (`isStatic`), positions are constants of the model; otherwise
// they are inputs, so that one session serves every size.

const OPS = { add: "Add", mul: "Mul" };
const GROUP = 64;

export class Graph {
  constructor(dtype, isStatic = false) {
    Object.assign(this, { dtype, isStatic });
    this.inputs = []; // { name, dtype, size, buffer, values }: a buffer's value, or values of the host
    this.constants = [];
    this.nodes = [];
    this.values = new Map();
    this.changed = new Set();
    this.reads = []; // { name, words, resolve, reject }
    this.freed = [];
  }

  get isEmpty() {
    return !this.nodes.length && !this.freed.length;
  }

  // The buffers that it changes and that still live.
  get kept() {
    return [...this.changed].filter((buffer) => !this.freed.includes(buffer));
  }

  // What it makes: the last value of each buffer that is kept, and the reads.
  get outputs() {
    const lastValues = this.kept.map((buffer) => this.values.get(buffer));
    return [...lastValues, ...this.reads.map(({ name }) => name)];
  }

  get model() {
    const { dtype, inputs, constants, nodes } = this;
    const outputs = this.outputs.map((name) => ({ name, dtype, size: `size_of_${name}` }));
    return { inputs, outputs, constants, nodes };
  }

  write(buffer, from, values) {
    const data = this.input({ dtype: this.dtype, size: this.isStatic ? values.length : null, values });
    this.replace(buffer, from, from + values.length, this.whole(data));
  }

  dispatch({ op, of }, buffers, scalar, groups) {
    const target = buffers.at(-1);
    const count = Math.min(GROUP * groups, ...buffers.map(({ words }) => words));
    if (!count) return;
    const scaled = { dtype: this.dtype, size: 1, values: [scalar] };
    const operand = of === "scalar" ? this.input(scaled) : this.part(buffers[0], 0, count);
    const result = this.node(OPS[op], [this.part(target, 0, count), operand]);
    this.replace(target, 0, count, result);
  }

  copy(source, from, target, to, words) {
    this.replace(target, to, to + words, this.copied(source, from, words));
  }

  read(buffer, from, words) {
    const name = this.copied(buffer, from, words);
    return new Promise((resolve, reject) => this.reads.push({ name, words, resolve, reject }));
  }

  value(buffer) {
    if (!this.values.has(buffer)) {
      const size = this.isStatic ? buffer.words : null;
      this.values.set(buffer, this.input({ dtype: this.dtype, size, buffer }));
    }
    return this.values.get(buffer);
  }

  // The value of `buffer` with `part` in the place of its words from `from` up to `to`.
  replace(buffer, from, to, part) {
    const pieces = [part];
    if (from > 0) pieces.unshift(this.part(buffer, 0, from));
    if (to < buffer.words) pieces.push(this.part(buffer, to, buffer.words));
    this.values.set(buffer, pieces.length > 1 ? this.node("Concat", pieces, 0) : part);
    this.changed.add(buffer);
  }

  part(buffer, from, to) {
    const value = this.value(buffer);
    if (from === 0 && to === buffer.words) return value;
    return this.node("Slice", [value, this.position(from), this.position(to)]);
  }

  // Words of `buffer` as a value of their own.
  copied(buffer, from, words) {
    const value = this.part(buffer, from, from + words);
    return value === this.value(buffer) ? this.whole(value) : value;
  }

  // The same words as a value of its own.  Identity would do, but it runs on the CPU.
  whole(value) {
    return this.node("Reshape", [value, this.constant(-1)]);
  }

  position(value) {
    if (this.isStatic) return this.constant(value);
    return this.input({ dtype: "int64", size: 1, values: [value] });
  }

  node(op, inputs, axis) {
    const output = `v${this.nodes.length}`;
    this.nodes.push({ op, inputs, output, axis });
    return output;
  }

  constant(value) {
    const name = `c${this.constants.length}`;
    this.constants.push({ name, values: [value] });
    return name;
  }

  input(input) {
    const name = `i${this.inputs.length}`;
    this.inputs.push({ ...input, name, size: input.size ?? `size_of_${name}` });
    return name;
  }
}
