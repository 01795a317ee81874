// The package as published, over Dawn's WebGPU; with a change in memory, where one is named.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { openDevice as openDeviceOf } from "../../examples/javascript/device.js";
import { changed } from "../reproducing.mjs";
import { contextIn } from "./runtime.js";

const file = createRequire(import.meta.url).resolve("@mlc-ai/web-runtime");
// Deno has WebGPU of its own, on wgpu; Node gets Dawn.
const gpu = globalThis.navigator?.gpu ?? (await dawn());

async function dawn() {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  return create([]);
}

export const openDevice = () => openDeviceOf(gpu);

// The class that the package keeps to itself, after the change: the name of a file in `reproductions`.
export function contextWith(change = "") {
  const text = readFileSync(file, "utf8");
  if (!change) return contextIn(text);
  const diff = readFileSync(new URL(`reproductions/${change}.diff`, import.meta.url), "utf8");
  return contextIn(changed(text, diff));
}
