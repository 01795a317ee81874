// TVM's web runtime under Node, on Dawn.
//
//     npm --prefix targets/tvm install
//     gpusim fuzz --target "exec:node targets/tvm/node.mjs"

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { create, globals } from "webgpu";
import { served } from "../../examples/javascript/target.js";

Object.assign(globalThis, globals);
const { TvmRuntime, PROMISES, contextIn } = await import("./runtime.js");

// A page outlives a promise that nobody handles; Node would end.
process.on("unhandledRejection", (error) => console.error("unhandled:", error));

const file = createRequire(import.meta.url).resolve("@mlc-ai/web-runtime");
const WebGPUContext = contextIn(readFileSync(file, "utf8"));
const gpu = create([]);
const openDevice = async () => {
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error("Dawn finds no adapter on this machine");
  return adapter.requestDevice();
};
const answer = served(openDevice, (device) => new TvmRuntime(device, WebGPUContext), PROMISES);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
