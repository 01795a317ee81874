// A runtime of this folder under Node, on Dawn: node.mjs NAME Right|Wrong

import { createInterface } from "node:readline";
import { create, globals } from "webgpu";
import { openDevice } from "../../../examples/javascript/device.js";
import { served } from "../../../examples/javascript/target.js";

Object.assign(globalThis, globals);
const [name, side] = process.argv.slice(2);
const Runtime = (await import(`./runtimes/${name}.js`))[side];
const gpu = create([]);
const make = (device, pipelines) => new Runtime(device, pipelines);
const answer = served(() => openDevice(gpu), make, Runtime.promises);

for await (const line of createInterface({ input: process.stdin })) {
  console.log(await answer(line));
}
