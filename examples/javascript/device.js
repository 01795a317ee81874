// A device of this browser or of another WebGPU, software where there is no other.

export async function openDevice(gpu = navigator.gpu) {
  const adapter =
    (await gpu.requestAdapter()) ?? (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (!adapter) throw new Error("WebGPU finds no adapter on this machine");
  return adapter.requestDevice();
}
