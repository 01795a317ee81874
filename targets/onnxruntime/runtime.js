// ONNX Runtime web (the npm package onnxruntime-web) as a target, on its WebGPU backend.
//
// It takes no WGSL and has no commands, so that the ops between two flushes are one ONNX graph,
// which a session runs.  The bytes of a buffer are a tensor in a GPU buffer: at first the caller's
// own, then what a run has put out.  A session runs every graph of the same form in a program.

import { Captured } from "./captured.js";
import { Graph } from "./graph.js";
import { encodeModel } from "./onnx.js";
import { WEBGPU } from "./package.js";

const ARRAYS = { int32: Int32Array, uint32: Uint32Array };
const DTYPES = { i32: "int32", u32: "uint32" };
const WORD = 4;
const ALIGNED = 16;

export class OrtRuntime {
  // With `preallocates` the caller gives the buffers that a run writes; otherwise ONNX Runtime does.
  constructor(ort, device, { preallocates }) {
    Object.assign(this, { ort, device, preallocates });
    this.sessions = new Map();
    this.buffers = new Set();
    this.graph = new Graph("int32");
    this.reads = [];
    this.captured = [];
    this.number = 0;
    this.failure = null;
    this.last = Promise.resolve();
  }

  alloc(sizeBytes) {
    const words = sizeBytes / WORD;
    const buffer = { words, tensor: this.ownTensor(words), spare: null, isFreed: false, number: this.number++ };
    this.buffers.add(buffer);
    return buffer;
  }

  write(buffer, offset, bytes) {
    const values = new Int32Array(bytes.slice().buffer);
    const isInside = offset + bytes.length <= buffer.words * WORD;
    this.record([buffer], offset, isInside, (graph) => graph.write(buffer, offset / WORD, values));
  }

  dispatch({ operation }, buffers, [scalar], [x, y, z]) {
    const dtype = DTYPES[operation.dtype];
    if (dtype !== this.graph.dtype) this.flush(dtype);
    const dispatched = (graph) => graph.dispatch(operation, buffers, scalar, x * y * z);
    this.record(buffers, 0, true, dispatched);
  }

  copy(source, sourceOffset, target, targetOffset, sizeBytes) {
    // A Slice past the end takes fewer words, and nothing raises.
    if (sourceOffset + sizeBytes > source.words * WORD) throw new RangeError("past the source's end");
    const isInside = targetOffset + sizeBytes <= target.words * WORD;
    const least = Math.min(sourceOffset, targetOffset, sizeBytes);
    const place = [sourceOffset / WORD, target, targetOffset / WORD, sizeBytes / WORD];
    this.record([source, target], least, isInside, (graph) => graph.copy(source, ...place));
  }

  async read(buffer, offset, sizeBytes) {
    const isInside = offset + sizeBytes <= buffer.words * WORD;
    let read;
    this.record([buffer], Math.min(offset, sizeBytes), isInside, (graph) => {
      read = graph.read(buffer, offset / WORD, sizeBytes / WORD);
      this.reads.push(read.catch(() => {}));
    });
    const { buffer: words } = await read;
    return new Uint8Array(words, 0, sizeBytes);
  }

  free(buffer) {
    if (buffer.isFreed) throw new Error("the tensor is disposed");
    buffer.isFreed = true;
    this.buffers.delete(buffer);
    this.graph.freed.push(buffer);
  }

  // A captured session has one shape, so that nothing in it can be refused later.
  capture(commands) {
    checkRanges(commands, (buffer) => buffer);
    return { commands, over: new Map() };
  }

  // A captured session keeps to the buffers that it was made for, so that others get another.
  replay(graph, scalars, bindings) {
    const over = (buffer) => bindings.get(buffer) ?? buffer;
    checkRanges(graph.commands, over);
    const form = [...bindings].map((pair) => pair.map(({ number }) => number)).join();
    if (!graph.over.has(form)) {
      const captured = new Captured(this, graph.commands, over);
      graph.over.set(form, captured);
      this.captured.push(captured);
    }
    this.flush();
    this.after(() => graph.over.get(form).run(scalars));
  }

  // Run what was recorded.  An error of it is told by the next sync.
  flush(dtype = this.graph.dtype) {
    const { graph } = this;
    this.graph = new Graph(dtype);
    if (!graph.isEmpty) this.after(() => this.run(graph));
  }

  async sync() {
    this.flush();
    await this.last;
    await Promise.all(this.reads.splice(0));
    const { failure } = this;
    this.failure = null;
    if (failure) throw failure;
  }

  async close() {
    for (const buffer of [...this.buffers]) this.free(buffer);
    await this.sync();
    for (const captured of this.captured) await captured.close();
    for (const session of this.sessions.values()) await (await session).release();
  }

  // ONNX counts a negative position from the end.  A graph is refused as a whole, so that an op that
  // may be refused has a graph of its own.
  record(buffers, least, isInside, into) {
    if (least < 0) throw new RangeError("a negative offset or size");
    const isAlone = !isInside || buffers.some(({ isFreed }) => isFreed);
    if (isAlone) this.flush();
    into(this.graph);
    if (isAlone) this.flush();
  }

  // A session runs one thing at a time, and so does the package.
  after(step) {
    this.last = this.last.then(step).catch((error) => (this.failure ??= error));
  }

  async run(graph) {
    const { freed, reads } = graph;
    try {
      if (graph.outputs.length) await this.carryOut(graph);
    } catch (error) {
      for (const { reject } of reads) reject(error);
      throw error;
    } finally {
      for (const { tensor, spare } of freed) {
        tensor.dispose();
        spare?.dispose();
      }
    }
  }

  async carryOut(graph) {
    const session = await this.sessionOf(graph);
    const feeds = Object.fromEntries(graph.inputs.map((input) => [input.name, this.feed(input)]));
    const fetches = Object.fromEntries(graph.outputs.map((name) => [name, null]));
    if (this.preallocates) {
      for (const buffer of graph.kept) {
        buffer.spare ??= this.ownTensor(buffer.words);
        fetches[graph.values.get(buffer)] = this.typed(buffer.spare, graph.dtype);
      }
    }
    const outputs = await session.run(feeds, fetches);
    for (const { name, words, resolve, reject } of graph.reads) {
      const output = outputs[name];
      if (output.dims[0] === words) output.getData(true).then(resolve, reject);
      else reject(new RangeError(`${output.dims[0]} words instead of ${words}`));
    }
    for (const buffer of graph.kept) this.take(buffer, outputs[graph.values.get(buffer)]);
  }

  // What was put out is the value of the buffer from now on.
  take(buffer, output) {
    const { tensor, spare } = buffer;
    if (this.preallocates) {
      Object.assign(buffer, { tensor: spare, spare: tensor });
    } else if (output.dims[0] === buffer.words) {
      buffer.tensor = output;
      tensor.dispose();
    } else {
      output.dispose();
      throw new RangeError(`${output.dims[0]} words instead of ${buffer.words}`);
    }
  }

  feed({ dtype, buffer, values }) {
    if (buffer) return this.typed(buffer.tensor, dtype);
    const array = dtype === "int64" ? BigInt64Array.from(values, BigInt) : ARRAYS[dtype].from(values);
    return new this.ort.Tensor(dtype, array, [array.length]);
  }

  sessionOf(graph) {
    const model = encodeModel(graph.model);
    const form = model.join();
    if (!this.sessions.has(form)) {
      this.sessions.set(form, this.ort.InferenceSession.create(model, WEBGPU));
    }
    return this.sessions.get(form);
  }

  // The caller's own: a GPU buffer of zeros, whose size is a multiple of 16, as the package asks.
  ownTensor(words) {
    const size = Math.ceil((words * WORD) / ALIGNED) * ALIGNED;
    const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
    const buffer = this.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    const own = { dataType: "int32", dims: [words], dispose: () => buffer.destroy() };
    return this.ort.Tensor.fromGpuBuffer(buffer, own);
  }

  typed({ gpuBuffer, dims }, dataType) {
    return this.ort.Tensor.fromGpuBuffer(gpuBuffer, { dataType, dims });
  }
}

// Refuses copies past the end of a buffer; `over` gives the buffer in the place of a captured one.
function checkRanges(commands, over) {
  for (const { kernel, source, sourceOffset, target, targetOffset, size } of commands) {
    const isInside = (buffer, offset) => offset >= 0 && offset + size <= over(buffer).words * WORD;
    if (kernel || (size >= 0 && isInside(source, sourceOffset) && isInside(target, targetOffset))) continue;
    throw new RangeError("past the end of a buffer");
  }
}

// The promises, a function of the judge's kernels.
export function promises({ isMixed }) {
  const dtypes = isMixed ? ["i32", "u32"] : ["i32"];
  const isOurs = ({ operation }) => dtypes.includes(operation?.dtype);
  return (kernels) => ({
    kernels: kernels.filter(isOurs).map(({ name }) => name),
    copies_within: true,
    overlapping_copies: true,
    orders_deliveries: false,
    replays: !isMixed,
    invalid_handle: "contained",
    out_of_range: "contained",
  });
}
