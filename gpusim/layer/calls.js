// What the layer does in the place of each call on WebGPU: it emits the call as an event, and carries
// the call out, holds its promise, or fails it as planned.  When promises settle is in adversary.js.

import { INJECTED, cancelMap, cancelMaps, invalidBuffer, lose, reportOutOfMemory, scopesOf, watchLoss } from "./failures.js"; // prettier-ignore
import { accessInLayout, accessInText, digestOf, movedInLayout, usageWords } from "./watched.js";

// Emits the event of a recorded command that is neither a dispatch nor a copy of bytes, but reads
// or writes buffers.
function toldUse(layer, encoder, call, { reads = [], writes = [] }) {
  layer.told("use", { encoder: layer.known.number("encoder", encoder), call, reads, writes });
}

// All that a copy of texels may touch of its buffer.
function restOf(layer, { buffer, offset = 0 }) {
  return [layer.known.buffer(buffer, layer), offset, buffer.size - offset];
}

// Each entry is called in the place of a method, with the layer, the native method, `this` and the
// arguments.
export const CALLS = {
  GPUAdapter: {
    async requestDevice(layer, native, self, args) {
      const device = await native(...args);
      layer.told("create_device", { device: layer.known.number("device", device) });
      layer.known.devices.set(device.queue, device);
      device.addEventListener?.("uncapturederror", ({ error }) => {
        const type = error.constructor.name.replace(/^GPU|Error$/g, "").toLowerCase();
        layer.told("error", { call: null, type, message: error.message });
      });
      watchLoss(layer, device);
      return device;
    },
  },
  GPUDevice: {
    createBuffer(layer, native, self, [descriptor]) {
      const { size, usage, mappedAtCreation = false, label = "" } = descriptor;
      const fails = layer.fails("buffer");
      const buffer = fails ? invalidBuffer(layer, native, self, descriptor) : native(descriptor);
      const [number, device] = [layer.known.buffer(buffer, layer), layer.known.number("device", self)];
      layer.known.owners.set(buffer, self);
      layer.told("create_buffer", { buffer: number, device, size_bytes: size,
        usage: usageWords(usage), mapped_at_creation: mappedAtCreation, label }); // prettier-ignore
      if (fails) reportOutOfMemory(layer, self);
      return buffer;
    },
    pushErrorScope(layer, native, self, [filter]) {
      native(filter);
      scopesOf(layer, self).push({ filter, error: null });
    },
    popErrorScope(layer, native, self) {
      const scope = scopesOf(layer, self).pop();
      return native().then((error) => scope?.error ?? error);
    },
    createBindGroup(layer, native, self, [descriptor]) {
      const group = native(descriptor);
      const entries = layer.known.group(group, descriptor);
      layer.told("create_bind_group", { group: layer.known.number("group", group), entries });
      return group;
    },
    createShaderModule(layer, native, self, [descriptor]) {
      const module = native(descriptor);
      layer.known.access.set(module, accessInText(descriptor.code));
      return module;
    },
    createBindGroupLayout(layer, native, self, [descriptor]) {
      const layout = native(descriptor);
      layer.known.access.set(layout, accessInLayout(descriptor));
      layer.known.moved.set(layout, movedInLayout(descriptor));
      return layout;
    },
    createPipelineLayout(layer, native, self, [descriptor]) {
      const layout = native(descriptor);
      layer.known.access.set(layout, layer.known.accessOf(descriptor.bindGroupLayouts));
      return layout;
    },
    createComputePipeline(layer, native, self, [descriptor]) {
      return layer.known.pipeline(native(descriptor), descriptor, layer);
    },
    async createComputePipelineAsync(layer, native, self, [descriptor]) {
      return layer.known.pipeline(await native(descriptor), descriptor, layer);
    },
    createCommandEncoder(layer, native, self, [descriptor]) {
      const encoder = native(descriptor);
      const number = layer.known.number("encoder", encoder);
      layer.collected.register(encoder, { encoder: number }, encoder);
      const device = layer.known.number("device", self);
      layer.known.owners.set(encoder, self);
      layer.told("create_encoder", { encoder: number, device, label: descriptor?.label ?? "" });
      return encoder;
    },
    destroy(layer, native, self) {
      layer.told("destroy_device", { device: layer.known.number("device", self) });
      cancelMaps(layer, self);
      return native();
    },
  },
  GPUQueue: {
    writeBuffer(layer, native, self, args) {
      const [buffer, offset, data, from = 0, size] = args;
      const unit = ArrayBuffer.isView(data) ? (data.BYTES_PER_ELEMENT ?? 1) : 1;
      const size_bytes = size === undefined ? data.byteLength - from * unit : size * unit;
      const digest = digestOf(data, from * unit, size_bytes);
      const device = layer.known.deviceOf(layer.known.devices.get(self));
      layer.told("write_buffer", { buffer: layer.known.buffer(buffer, layer), offset, size_bytes,
        digest, device }); // prettier-ignore
      return native(...args);
    },
    submit(layer, native, self, [buffers]) {
      const device = layer.known.devices.get(self);
      const list = [...buffers];
      const numbers = list.map((each) => layer.known.number("command_buffer", each));
      layer.told("submit", { command_buffers: numbers, device: layer.known.deviceOf(device) });
      if (layer.fails("submit") && device) lose(layer, device);
      return native(list);
    },
    onSubmittedWorkDone(layer, native, self) {
      const work = ++layer.known.works;
      const device = layer.known.deviceOf(layer.known.devices.get(self));
      layer.told("work_done", { work, device });
      return layer.hold("work", native(), (error) => {
        layer.told("settle_work_done", { work, error: error && `${error.name} ${error.message}` });
        return error;
      }).promise;
    },
  },
  GPUBuffer: {
    mapAsync(layer, native, self, args) {
      const [mode, offset = 0, size_bytes = self.size - offset] = args;
      const [map, buffer] = [++layer.known.maps, layer.known.buffer(self, layer)];
      const [isFree, fails] = [self.mapState === "unmapped", layer.fails("map")];
      const word = mode === 1 ? "READ" : "WRITE";
      layer.told("map", { map, buffer, mode: word, offset, size_bytes });
      const end = (error) => {
        if (isFree) layer.pending.delete(self);
        if (fails && !error) layer.native.GPUBuffer.unmap.call(self);
        const outcome = error ?? (fails ? new DOMException(INJECTED, "OperationError") : null);
        const said = outcome && `${outcome.name} ${outcome.message}`;
        layer.told("settle_map", { map, error: said });
        return outcome;
      };
      const { held, promise } = layer.hold("map", native(...args), end);
      if (isFree) layer.pending.set(self, Object.assign(held, { buffer: self }));
      return promise;
    },
    getMappedRange(layer, native, self, [offset = 0, size = self.size - offset]) {
      const buffer = layer.known.buffer(self, layer);
      layer.told("get_mapped_range", { buffer, offset, size_bytes: size, copied: false });
      if (layer.pending.has(self)) throw new DOMException("the map is pending", "OperationError");
      return native(offset, size);
    },
    unmap(layer, native, self) {
      layer.told("unmap", { buffer: layer.known.buffer(self, layer) });
      native();
      cancelMap(layer, self);
    },
    destroy(layer, native, self) {
      layer.told("destroy_buffer", { buffer: layer.known.buffer(self, layer) });
      native();
      cancelMap(layer, self);
    },
  },
  GPUCommandEncoder: {
    beginComputePass(layer, native, self, args) {
      const pass = native(...args);
      const encoder = layer.known.number("encoder", self);
      const number = layer.known.number("pass", pass);
      layer.known.passes.set(pass, { encoder, pass: number, groups: [] });
      layer.told("begin_pass", { encoder, pass: number });
      return pass;
    },
    copyBufferToBuffer(layer, native, self, args) {
      const short = typeof args[1] === "object";
      const [source, source_offset, target, target_offset, size] =
        short ? [args[0], 0, args[1], 0, args[2]] : args; // prettier-ignore
      layer.told("copy", { encoder: layer.known.number("encoder", self),
        source: layer.known.buffer(source, layer), source_offset,
        target: layer.known.buffer(target, layer), target_offset,
        size_bytes: size ?? source.size - source_offset }); // prettier-ignore
      return native(...args);
    },
    clearBuffer(layer, native, self, args) {
      const [buffer, offset = 0, size_bytes = buffer.size - offset] = args;
      const encoder = layer.known.number("encoder", self);
      layer.told("clear", { encoder, buffer: layer.known.buffer(buffer, layer), offset, size_bytes });
      return native(...args);
    },
    copyBufferToTexture(layer, native, self, [source, ...others]) {
      toldUse(layer, self, "copyBufferToTexture", { reads: [restOf(layer, source)] });
      return native(source, ...others);
    },
    copyTextureToBuffer(layer, native, self, [source, target, ...others]) {
      toldUse(layer, self, "copyTextureToBuffer", { writes: [restOf(layer, target)] });
      return native(source, target, ...others);
    },
    resolveQuerySet(layer, native, self, [queries, first, count, target, offset]) {
      const writes = [[layer.known.buffer(target, layer), offset, 8 * count]];
      toldUse(layer, self, "resolveQuerySet", { writes });
      return native(queries, first, count, target, offset);
    },
    finish(layer, native, self, args) {
      const buffer = native(...args);
      const command_buffer = layer.known.number("command_buffer", buffer);
      layer.collected.unregister(self);
      layer.collected.register(buffer, { command_buffer });
      const device = layer.known.deviceOf(layer.known.owners.get(self));
      layer.told("finish", { encoder: layer.known.number("encoder", self), command_buffer, device });
      return buffer;
    },
  },
  GPUComputePassEncoder: {
    setPipeline(layer, native, self, [pipeline]) {
      layer.known.passOf(self).pipeline = pipeline;
      return native(pipeline);
    },
    setBindGroup(layer, native, self, args) {
      const [at, group, ...offsets] = args;
      const [first, start, count] = offsets;
      const dynamic = start === undefined ? [...(first ?? [])] : [...first].slice(start, start + count);
      layer.known.passOf(self).groups[at] = group && { group, dynamic };
      return native(...args);
    },
    dispatchWorkgroups(layer, native, self, [x, y = 1, z = 1]) {
      layer.told("dispatch", { ...layer.known.dispatch(self), groups: [x, y, z] });
      return native(x, y, z);
    },
    dispatchWorkgroupsIndirect(layer, native, self, [buffer, offset]) {
      const indirect = [layer.known.buffer(buffer, layer), offset];
      layer.told("dispatch", { ...layer.known.dispatch(self), indirect });
      return native(buffer, offset);
    },
    end(layer, native, self) {
      const { encoder, pass } = layer.known.passOf(self);
      layer.told("end_pass", { encoder, pass });
      return native();
    },
  },
};
