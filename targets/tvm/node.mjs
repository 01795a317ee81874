// TVM's web runtime under Node, on Dawn.
//
//     npm --prefix targets/tvm install
//     gpusim fuzz --target "exec:node targets/tvm/node.mjs"

import { createInterface } from "node:readline";
import { served } from "../../examples/javascript/target.js";
import { contextWith, openDevice } from "./package.mjs";
import { PROMISES, TvmRuntime } from "./runtime.js";

const WebGPUContext = await contextWith();
const answer = served(openDevice, (device) => new TvmRuntime(device, WebGPUContext), PROMISES);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
