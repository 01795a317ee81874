// A device of this browser or of another WebGPU, software where there is no other.

export async function openDevice(gpu = navigator.gpu) {
  const adapter =
    (await gpu.requestAdapter()) ?? (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  if (!adapter) {
    throw new Error(
      "cannot open a device because WebGPU finds no adapter on this machine (probably it takes none of the " +
        "Vulkan drivers here; VK_DRIVER_FILES names another)",
    );
  }
  return adapter.requestDevice();
}
