// The package as published, under Node over Dawn's WebGPU, in Deno and in a page over theirs; with a
// change in memory, where one is named.

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

// The class that the package keeps to itself, after the change: the name of a file in `reproductions`.
export async function contextWith(change = "") {
  const text = await textOf(FILE);
  return contextIn(change ? changed(text, await textOf(`reproductions/${change}.diff`)) : text);
}

async function textOf(name) {
  const address = new URL(name, import.meta.url);
  if (address.protocol !== "file:") return (await fetch(address)).text();
  const { readFile } = await import("node:fs/promises");
  return readFile(address, "utf8");
}
