// TVM's web runtime under Node, on Dawn.
//
//     npm --prefix targets/tvm install
//     gpusim fuzz --target "exec:node targets/tvm/node.mjs"
//     gpusim fuzz --target "exec:node targets/tvm/node.mjs odd-write,odd-copy"
//
// The word names changes to the package, so that what is behind the defects that they mend can be seen.

import { createInterface } from "node:readline";
import { served } from "../../examples/javascript/target.js";
import { contextWith, openDevice } from "./package.mjs";
import { PROMISES, TvmRuntime } from "./runtime.js";

const WebGPUContext = await contextWith(process.argv[2]);
const answer = served(openDevice, (device) => new TvmRuntime(device, WebGPUContext), PROMISES);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
