// What every reproduction needs: the two packages as published, over a device.
//
//     node targets/tfjs/reproductions/NAME.mjs             the packages as they are
//     node targets/tfjs/reproductions/NAME.mjs CHANGE      the packages with CHANGE.diff, in memory
//
// Each prints what is wrong and exits with 1, or prints "nothing wrong" and exits with 0.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { create, globals } from "webgpu";
import { changed } from "../../reproducing.mjs";

// The backend looks for WebGPU where a page has it.
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) } });

const require = createRequire(import.meta.url);
const MODULES = new URL("../node_modules/@tensorflow/", import.meta.url);
const FILES = {
  "tfjs-core": "dist/tf-core.es2017.js",
  "tfjs-backend-webgpu": "dist/tf-backend-webgpu.es2017.js",
};
export const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;

// What the package exports, with the change if it is for that package.
function loaded(name, diff, require) {
  let text = readFileSync(new URL(`${name}/${FILES[name]}`, MODULES), "utf8");
  if (diff.startsWith(`--- @tensorflow/${name}/`)) text = changed(text, diff);
  const exports = {};
  new Function("exports", "module", "require", text)(exports, { exports }, require);
  return exports;
}

// Runs `body(tf, device)`, which gives triples of what is there, what ought to be, and its name.
export async function reproduce(body) {
  const change = process.argv[2];
  const diff = change ? readFileSync(new URL(`${change}.diff`, import.meta.url), "utf8") : "";
  const tf = loaded("tfjs-core", diff, require);
  loaded("tfjs-backend-webgpu", diff, () => tf);
  await tf.setBackend("webgpu");
  const { device } = tf.backend();
  device.addEventListener("uncapturederror", ({ error }) => {
    console.log(`device: ${error.message.split("\n")[0]}`);
  });
  const triples = await body(tf, device);
  const wrong = triples.filter(([got, wanted]) => `${got}` !== `${wanted}`);
  for (const [got, wanted, what] of wrong) console.log(`${what}: ${got} instead of ${wanted}`);
  if (!wrong.length) console.log("nothing wrong");
  process.exitCode = wrong.length ? 1 : 0;
  device.destroy();
}
