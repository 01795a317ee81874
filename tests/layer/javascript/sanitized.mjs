// A program with a mistake, or with "mended" without it, under the sanitizer: prints its reports.  With
// "texels" the command that is overtaken is a copy to a texture.

import { create, globals } from "webgpu";
import { sanitize } from "../../../gpusim/layer/sanitize.js";

Object.assign(globalThis, globals);
const reports = [];
const rules = sanitize({ onReport: (report) => reports.push(report) });

const gpu = create([]);
const device = await (await gpu.requestAdapter()).requestDevice();
const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
const [source, target] = [8, 8].map((size) => device.createBuffer({ size, usage }));
device.queue.writeBuffer(source, 0, new Uint32Array([1, 2]));
const encoder = device.createCommandEncoder();
if (process.argv[3] === "texels") {
  const texture = device.createTexture({ size: [1], format: "rgba8unorm", usage: GPUTextureUsage.COPY_DST });
  encoder.copyBufferToTexture({ buffer: source }, { texture }, [1]);
} else {
  encoder.copyBufferToBuffer(source, 0, target, 0, 8);
}
if (process.argv[2] === "mended") device.queue.submit([encoder.finish()]);
device.queue.writeBuffer(source, 0, new Uint32Array([3, 4]));
if (process.argv[2] !== "mended") device.queue.submit([encoder.finish()]);
await device.queue.onSubmittedWorkDone();

rules.finish();
console.log(JSON.stringify(reports));
device.destroy();
