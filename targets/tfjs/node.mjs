// tfjs's WebGPU backend under Node, on Dawn.
//
//     npm --prefix targets/tfjs install
//     gpusim fuzz --target "exec:node targets/tfjs/node.mjs"

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { create, globals } from "webgpu";
import { served } from "../../examples/javascript/target.js";

// The backend looks for WebGPU where a page has it.
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) } });
const { PROMISES, RUNTIMES } = await import("./runtime.js");
const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs-core");
const { WebGPUBackend } = require("@tensorflow/tfjs-backend-webgpu");

const openDevice = async () => {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn finds no adapter on this machine");
  return adapter.requestDevice();
};
const Runtime = RUNTIMES[process.argv[2] ?? ""];
const answer = served(openDevice, (device) => new Runtime(device, tf, WebGPUBackend), PROMISES);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
