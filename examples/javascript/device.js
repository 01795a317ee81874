// A device of this browser, software where there is no other.

export async function openDevice() {
  const { gpu } = navigator;
  const adapter =
    (await gpu.requestAdapter()) ?? (await gpu.requestAdapter({ forceFallbackAdapter: true }));
  return adapter.requestDevice();
}
