// tfjs's WebGPU backend under Node, on Dawn.
//
//     npm --prefix targets/tfjs install
//     gpusim fuzz --target "exec:node targets/tfjs/node.mjs"
//     gpusim fuzz --target "exec:node targets/tfjs/node.mjs ops int32-slice,int32-concat"
//
// The first word names an adapter.  The second names changes to the packages, so that what is behind
// the defects that they mend can be seen.

import { createInterface } from "node:readline";
import { openDevice } from "../../examples/javascript/device.js";
import { served } from "../../examples/javascript/target.js";
import { tfWith } from "./packages.mjs";

const { PROMISES, RUNTIMES } = await import("./runtime.js");
const [word = "programs", changes] = process.argv.slice(2);
const tf = await tfWith(changes);

const answer = served(openDevice, (device) => new RUNTIMES[word](device, tf), PROMISES);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
