// What every reproduction needs: the package, as published or changed, and models of a few nodes.

import { encodeModel } from "../onnx.js";
import { WEBGPU, changedBy, openOrt } from "../package.js";

const SIZE = 4;

export class Ort {
  static async open(change) {
    return new Ort(await openOrt(await changedBy(change ? [change] : [])));
  }

  constructor(ort) {
    this.ort = ort;
    this.device = ort.env.webgpu.device;
  }

  // A session of y = op(x, ...), four whole numbers each, whose output stays on the GPU.  A size that
  // is a word stands for any.
  session(op, inputs, options = {}, size = SIZE) {
    return this.sessionOf([{ op, inputs, output: "y" }], options, size);
  }

  // The same of several nodes, all of whose outputs are the model's.
  sessionOf(nodes, options = {}, size = SIZE) {
    const value = (name) => ({ name, dtype: "int32", size });
    const model = encodeModel({
      inputs: [value("x")],
      outputs: nodes.map(({ output }) => value(output)),
      constants: [{ name: "shape", values: [-1] }],
      nodes,
    });
    return this.ort.InferenceSession.create(model, { ...WEBGPU, ...options });
  }

  tensor(...values) {
    return new this.ort.Tensor("int32", Int32Array.from(values), [values.length]);
  }

  // The first words of a tensor's GPU buffer, as a tensor.
  head({ gpuBuffer }, words) {
    return this.ort.Tensor.fromGpuBuffer(gpuBuffer, { dataType: "int32", dims: [words] });
  }

  // A GPU buffer of the caller's, as a tensor.
  gpuTensor(...values) {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: 4 * SIZE, usage });
    this.device.queue.writeBuffer(buffer, 0, Int32Array.from(values));
    return this.ort.Tensor.fromGpuBuffer(buffer, { dataType: "int32", dims: [SIZE] });
  }
}

// What a session makes of x, of its first output or of the fetches, or the first line of what it raises.
export async function outcome(session, x, fetches = session.outputNames) {
  try {
    const [first] = Object.values(await session.run({ x }, fetches));
    return (await first.getData(true)).join(" ");
  } catch (error) {
    return error.message.split("\n")[0];
  }
}
