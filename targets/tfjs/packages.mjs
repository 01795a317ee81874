// The two packages as published, in the build that a page loads, over Dawn's WebGPU; with changes in
// memory, where some are named.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { create, globals } from "webgpu";
import { changed } from "../changed.js";

// The backend looks for WebGPU where a page has it.
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) } });

const require = createRequire(import.meta.url);
const FILES = {
  "tfjs-core": "dist/tf-core.es2017.js",
  "tfjs-backend-webgpu": "dist/tf-backend-webgpu.es2017.js",
};

// `tf`, with the backend, after the changes: names of files in `reproductions`, joined by commas.
export function tfWith(changes = "") {
  const diffs = changes.split(",").filter(Boolean).map((name) => {
    return readFileSync(new URL(`reproductions/${name}.diff`, import.meta.url), "utf8");
  });
  const tf = loaded("tfjs-core", diffs, require);
  return { ...tf, ...loaded("tfjs-backend-webgpu", diffs, () => tf) };
}

function loaded(name, diffs, requireOfFile) {
  const file = new URL(`node_modules/@tensorflow/${name}/${FILES[name]}`, import.meta.url);
  const own = diffs.filter((diff) => diff.startsWith(`--- @tensorflow/${name}/`));
  const text = own.reduce(changed, readFileSync(file, "utf8"));
  const exports = {};
  new Function("exports", "module", "require", text)(exports, { exports }, requireOfFile);
  return exports;
}
