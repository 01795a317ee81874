// How the layer fails a call as WebGPU would: which object the program gets, and which error, and
// where.  Nothing here decides what fails.

export const INJECTED = "gpusim's adversary was asked to fail this call";

export function cancelMap(layer, buffer) {
  const held = layer.pending.get(buffer);
  held?.end(new DOMException("the buffer was unmapped before its map settled", "AbortError"));
}

export function cancelMaps(layer, device) {
  const maps = layer.held.filter(({ kind, buffer }) => kind === "map" && buffer);
  for (const { buffer } of maps) {
    if (layer.known.owners.get(buffer) === device) cancelMap(layer, buffer);
  }
}

export function scopesOf(layer, device) {
  if (!layer.scopes.has(device)) layer.scopes.set(device, []);
  return layer.scopes.get(device);
}

// If there is no memory, WebGPU gives an invalid buffer.  A buffer without a usage is invalid too.
export function invalidBuffer(layer, native, device, descriptor) {
  if (descriptor.mappedAtCreation) throw new RangeError(INJECTED);
  layer.native.GPUDevice.pushErrorScope.call(device, "validation");
  const buffer = native({ ...descriptor, usage: 0 });
  layer.native.GPUDevice.popErrorScope.call(device);
  Object.defineProperty(buffer, "usage", { value: descriptor.usage });
  return buffer;
}

export function reportOutOfMemory(layer, device) {
  const error = new GPUOutOfMemoryError(INJECTED);
  const scope = scopesOf(layer, device).findLast(({ filter }) => filter === "out-of-memory");
  if (scope) scope.error ??= error;
  else device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
}

// A device that was destroyed behaves as a lost one; only the reason tells them apart.
export function lose(layer, device) {
  layer.known.lost.add(device);
  cancelMaps(layer, device);
  layer.native.GPUDevice.destroy.call(device);
}

export function watchLoss(layer, device) {
  const lost = device.lost.then((info) => {
    const told = layer.known.lost.has(device) ? injectedLoss(info) : info;
    const number = layer.known.number("device", device);
    layer.told("lost", { device: number, reason: told.reason, message: told.message });
    return told;
  });
  Object.defineProperty(device, "lost", { value: lost, configurable: true });
}

function injectedLoss(info) {
  const values = { reason: { value: "unknown" }, message: { value: INJECTED } };
  return Object.create(Object.getPrototypeOf(info), values);
}
