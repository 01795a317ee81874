// The same runtime under Node, on Dawn: `npm install webgpu` in this folder first.
//
//     gpusim fuzz --target "exec:node examples/javascript/node.mjs"

import { createInterface } from "node:readline";
import { create, globals } from "webgpu";
import { openDevice } from "./device.js";
import { served } from "./target.js";

Object.assign(globalThis, globals);
const { BatchedRuntime } = await import("./runtime.js");

const gpu = create([]);
const makeRuntime = (device, pipelines) => new BatchedRuntime(device, pipelines);
const answer = served(() => openDevice(gpu), makeRuntime, BatchedRuntime.promises);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
