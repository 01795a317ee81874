// The package as published, under Node over Dawn's WebGPU, in Deno and in a page over theirs; with changes
// in memory, where some are named.

import { openDevice as openDeviceOf } from "../../examples/javascript/device.js";
import { changed } from "../changed.js";
import { contextIn } from "./runtime.js";

const FILE = "node_modules/@mlc-ai/web-runtime/lib/index.js";
const gpu = globalThis.navigator?.gpu ?? (await dawn());

async function dawn() {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  return create([]);
}

export const openDevice = () => openDeviceOf(gpu);

// The class that the package keeps to itself, after the changes: names of files in `reproductions`,
// joined by commas.
export async function contextWith(changes = "") {
  const names = changes.split(",").filter(Boolean);
  const diffs = await Promise.all(names.map((name) => textOf(`reproductions/${name}.diff`)));
  return contextIn(diffs.reduce(changed, await textOf(FILE)));
}

async function textOf(name) {
  const address = new URL(name, import.meta.url);
  if (address.protocol !== "file:") return (await fetch(address)).text();
  const { readFile } = await import("node:fs/promises");
  return readFile(address, "utf8");
}
