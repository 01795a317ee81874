// The two packages as published, in the build that a page loads: under Node over Dawn's WebGPU, and in a
// page over its own; with changes in memory, where some are named.

import { changed } from "../changed.js";

const FILES = {
  "tfjs-core": "dist/tf-core.es2017.js",
  "tfjs-backend-webgpu": "dist/tf-backend-webgpu.es2017.js",
};
const node = globalThis.document ? null : await import("node:module");
if (node) await openDawn();

// The backend looks for WebGPU where a page has it.
async function openDawn() {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) } });
}

// `tf`, with the backend, after the changes: names of files in `reproductions`, joined by commas.
export async function tfWith(changes = "") {
  const names = changes.split(",").filter(Boolean);
  const diffs = await Promise.all(names.map((name) => textOf(`reproductions/${name}.diff`)));
  const tf = await loaded("tfjs-core", diffs, node?.createRequire(import.meta.url));
  return { ...tf, ...(await loaded("tfjs-backend-webgpu", diffs, () => tf)) };
}

async function loaded(name, diffs, requireOfFile) {
  const text = await textOf(`node_modules/@tensorflow/${name}/${FILES[name]}`);
  const own = diffs.filter((diff) => diff.startsWith(`--- @tensorflow/${name}/`));
  const exports = {};
  new Function("exports", "module", "require", own.reduce(changed, text))(exports, { exports }, requireOfFile);
  return exports;
}

async function textOf(name) {
  const address = new URL(name, import.meta.url);
  if (!node) return (await fetch(address)).text();
  const { readFile } = await import("node:fs/promises");
  return readFile(address, "utf8");
}
