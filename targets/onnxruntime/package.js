// The package as published, once for each device: it keeps one device for as long as it is loaded.

import { changed } from "../changed.js";
import { encodeModel } from "./onnx.js";

// The options of every session.
export const WEBGPU = { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" };

const FOLDER = new URL("node_modules/onnxruntime-web/dist/", import.meta.url).href;
const VALUE = { dtype: "int32", size: 1 };
const MODEL = encodeModel({
  inputs: [{ name: "x", ...VALUE }],
  outputs: [{ name: "y", ...VALUE }],
  constants: [],
  nodes: [{ op: "Add", inputs: ["x", "x"], output: "y" }],
});

// What gives the text of the package the changes of these names, from `reproductions`.
export async function changedBy(names) {
  const address = (name) => new URL(`reproductions/${name}.diff`, import.meta.url);
  const diffs = await Promise.all(names.map(async (name) => (await fetch(address(name))).text()));
  return (text) => diffs.reduce(changed, text);
}

// The package with a device of this browser, software where there is no other; `change` gives its
// text another form before it is loaded.
export async function openOrt(change = (text) => text) {
  const text = change(await (await fetch(`${FOLDER}ort.mjs`)).text());
  const ort = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  const { gpu } = navigator;
  ort.env.logLevel = "fatal";
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.webgpu.adapter =
    (await gpu.requestAdapter()) ?? (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  // The first session opens the device.
  const session = await ort.InferenceSession.create(MODEL, WEBGPU);
  await session.release();
  return ort;
}
