// Dispatches of TVM's web runtime, timed: one line of input is one turn, `bench.py` sends them.
//
// The first line is the judge's `hello`, with one kernel.  Each other line is an arm, a number of
// dispatches, and the word that they start from; the answer is
// `{ recording, end, word }`, both times in milliseconds.  "eager" submits each dispatch by itself,
// "lazy" is the package as it is.

import { createInterface } from "node:readline";
import { contextWith, openDevice } from "./package.mjs";
import { TvmRuntime } from "./runtime.js";

const device = await openDevice();
const runtime = new TvmRuntime(device, await contextWith());
const { vendor, architecture, description } = device.adapterInfo;

async function turn(kernel, arm, dispatches, start) {
  const buffer = runtime.alloc(4);
  runtime.write(buffer, 0, new Uint8Array(Uint32Array.of(start).buffer));
  await runtime.sync();
  const begin = performance.now();
  for (let n = 0; n < dispatches; n++) {
    runtime.dispatch(kernel, [buffer], [3, n], [1, 1, 1]);
    if (arm === "eager") runtime.flush();
  }
  runtime.flush();
  const recording = performance.now() - begin;
  const bytes = new Uint8Array(4);
  runtime.readInto(buffer, 0, 4, bytes);
  await runtime.sync();
  const end = performance.now() - begin;
  runtime.free(buffer);
  return { recording, end, word: new Uint32Array(bytes.buffer)[0] };
}

let kernel;
for await (const line of createInterface({ input: process.stdin })) {
  if (!kernel) {
    [kernel] = JSON.parse(line.replace("hello ", "")).kernels;
    console.log([vendor, architecture, description].filter(Boolean).join(" "));
  } else {
    const [arm, dispatches, start] = line.split(" ");
    console.log(JSON.stringify(await turn(kernel, arm, Number(dispatches), Number(start))));
  }
}
process.exit();
