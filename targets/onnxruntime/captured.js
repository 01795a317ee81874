// Captured commands as one session with `enableGraphCapture`, which is for one size and for the GPU
// buffers that it ran over first.  These are the session's own here: each replay copies the bytes
// of the judge's buffers into them before the run, and out of its outputs after it.

import { Graph } from "./graph.js";
import { encodeModel } from "./onnx.js";
import { WEBGPU } from "./package.js";

const WORD = 4;

export class Captured {
  // `over` gives the buffer in the place of a captured one.
  constructor(runtime, commands, over) {
    this.runtime = runtime;
    this.graph = new Graph("int32", true);
    this.scalars = commands.filter(({ kernel }) => kernel).map(({ scalars }) => scalars);
    let dispatches = 0;
    for (const { kernel, buffers, grid, ...copy } of commands) {
      if (kernel) {
        const groups = grid.reduce((product, side) => product * side);
        // The input of the scalar says of which dispatch it is.
        this.graph.dispatch(kernel.operation, buffers.map(over), dispatches++, groups);
      } else {
        const places = [copy.sourceOffset / WORD, over(copy.target), copy.targetOffset / WORD];
        this.graph.copy(over(copy.source), ...places, copy.size / WORD);
      }
    }
    this.changed = [...this.graph.changed];
    this.feeds = {};
    this.fetches = {};
    this.session = null;
  }

  async run(scalars) {
    if (!this.changed.length) return;
    this.session ??= await this.open();
    const { queue } = this.runtime.device;
    for (const { name, values } of this.graph.inputs.filter(({ values }) => values)) {
      const [scalar] = scalars?.[values[0]] ?? this.scalars[values[0]];
      queue.writeBuffer(this.feeds[name].gpuBuffer, 0, Int32Array.of(scalar));
    }
    const read = this.graph.inputs.filter(({ buffer }) => buffer);
    this.copy(read.map(({ name, buffer }) => [buffer.tensor, this.feeds[name]]));
    const outputs = await this.session.run(this.feeds, this.fetches);
    const outputOf = (buffer) => outputs[this.graph.values.get(buffer)];
    this.copy(this.changed.map((buffer) => [outputOf(buffer), buffer.tensor]));
    if (!this.runtime.preallocates) this.changed.map(outputOf).forEach((output) => output.dispose());
  }

  async open() {
    const { ort, preallocates } = this.runtime;
    for (const { name, size } of this.graph.inputs) this.feeds[name] = this.runtime.ownTensor(size);
    for (const buffer of this.changed) {
      const own = preallocates ? this.runtime.ownTensor(buffer.words) : null;
      this.fetches[this.graph.values.get(buffer)] = own;
    }
    return ort.InferenceSession.create(encodeModel(this.graph.model), { ...WEBGPU, enableGraphCapture: true });
  }

  // The caller's own commands, which the caller submits.
  copy(pairs) {
    const { device } = this.runtime;
    const encoder = device.createCommandEncoder();
    for (const [{ gpuBuffer, dims }, target] of pairs) {
      encoder.copyBufferToBuffer(gpuBuffer, 0, target.gpuBuffer, 0, dims[0] * WORD);
    }
    device.queue.submit([encoder.finish()]);
  }

  async close() {
    await this.session?.release();
    const own = [...Object.values(this.feeds), ...Object.values(this.fetches)];
    for (const tensor of own) tensor?.dispose();
  }
}
