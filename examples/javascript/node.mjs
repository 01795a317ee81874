// The same runtime under Node, on Dawn: `npm install webgpu` in this folder first.
//
//     gpusim fuzz --target "exec:node examples/javascript/node.mjs"

import { createInterface } from "node:readline";
import { create, globals } from "webgpu";

Object.assign(globalThis, globals);
const { BatchedRuntime } = await import("./runtime.js");
const { served } = await import("./target.js");

const gpu = create([]);
const openDevice = async () => {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn finds no adapter on this machine");
  return adapter.requestDevice();
};
const makeRuntime = (device, pipelines) => new BatchedRuntime(device, pipelines);
const answer = served(openDevice, makeRuntime, BatchedRuntime.promises);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
