// A WebGPU that computes nothing and writes down what it is asked to: each compute shader as a
// file of WGSL, and beside it, as JSON, one dispatch of it with its bindings and their first bytes.
//
//     import { install } from ".../record.mjs";  install("folder");
//
// ``navigator.gpu`` is this from then on, so that packages that want WebGPU can be recorded in Node.
// ``python -m tools.wgsl shipped folder`` runs what was recorded.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";

const MOST_BYTES = 1 << 16;
const LIMITS = {
    maxBindGroups: 4, maxStorageBuffersPerShaderStage: 10, maxUniformBuffersPerShaderStage: 12,
    maxBufferSize: 1 << 28, maxStorageBufferBindingSize: 1 << 27, maxUniformBufferBindingSize: 65536,
    maxComputeWorkgroupSizeX: 256, maxComputeWorkgroupSizeY: 256, maxComputeWorkgroupSizeZ: 64,
    maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupsPerDimension: 65535,
    maxComputeWorkgroupStorageSize: 16384, minStorageBufferOffsetAlignment: 256,
    minUniformBufferOffsetAlignment: 256, maxTextureDimension2D: 8192,
};
const constants = (names) => Object.fromEntries(names.map((name, at) => [name, 1 << at]));

class Buffer {
    constructor({ size, usage = 0, mappedAtCreation = false }) {
        Object.assign(this, { size, usage, mapState: mappedAtCreation ? "mapped" : "unmapped" });
        this.bytes = new ArrayBuffer(size);
    }
    getMappedRange(offset = 0, size = this.size - offset) {
        // A copy may be transferred away; views of the whole are written through.
        if (offset === 0 && size === this.size) return this.bytes;
        return this.bytes.slice(offset, offset + size);
    }
    async mapAsync() { this.mapState = "mapped"; }
    unmap() { this.mapState = "unmapped"; }
    destroy() {}
}

class Recorder {
    constructor(folder) { mkdirSync(folder, { recursive: true }); this.folder = folder; this.seen = new Map(); }
    dispatch(pipeline, groups, count) {
        const { code, entry, values } = pipeline;
        const key = createHash("sha1").update(code).digest("hex").slice(0, 12);
        if (this.seen.has(key)) return;
        this.seen.set(key, true);
        const bindings = [];
        groups.forEach((group, index) => {
            for (const { binding, resource } of group?.entries ?? []) {
                const buffer = resource?.buffer ?? resource;
                if (!(buffer instanceof Buffer)) continue;
                const offset = resource.offset ?? 0;
                const size = resource.size ?? buffer.size - offset;
                const bytes = new Uint8Array(buffer.bytes, offset, size);
                const data = Buffer64(bytes.subarray(0, MOST_BYTES));
                bindings.push({ group: index, binding, size, uniform: !!(buffer.usage & 64), data });
            }
        });
        writeFileSync(`${this.folder}/${key}.wgsl`, code);
        writeFileSync(`${this.folder}/${key}.json`, JSON.stringify({ entry, values, groups: count, bindings }));
    }
}

const Buffer64 = (bytes) => globalThis.Buffer.from(bytes).toString("base64");

function pass(recorder) {
    const groups = [];
    let pipeline;
    return {
        setPipeline(given) { pipeline = given; },
        setBindGroup(index, group) { groups[index] = group; },
        dispatchWorkgroups(x, y = 1, z = 1) { recorder.dispatch(pipeline, groups, [x, y, z]); },
        dispatchWorkgroupsIndirect() { recorder.dispatch(pipeline, groups, [1, 1, 1]); },
        end() {}, pushDebugGroup() {}, popDebugGroup() {}, insertDebugMarker() {},
    };
}

function encoder(recorder) {
    return {
        beginComputePass: () => pass(recorder),
        copyBufferToBuffer(from, fromOffset, to, toOffset, size) {
            if (typeof fromOffset !== "number") return;
            new Uint8Array(to.bytes).set(new Uint8Array(from.bytes, fromOffset, size), toOffset);
        },
        clearBuffer() {}, writeTimestamp() {}, resolveQuerySet() {}, finish: () => ({}),
        pushDebugGroup() {}, popDebugGroup() {}, insertDebugMarker() {},
    };
}

function device(recorder, features) {
    const pipeline = ({ compute }) => ({
        code: compute.module.code, entry: compute.entryPoint ?? null, values: compute.constants ?? {},
        getBindGroupLayout: () => ({}),
    });
    return {
        features, limits: LIMITS, lost: new Promise(() => {}), adapterInfo: {}, label: "",
        queue: {
            submit() {}, onSubmittedWorkDone: async () => {}, copyExternalImageToTexture() {}, writeTexture() {},
            writeBuffer(buffer, offset, data, from = 0, size = undefined) {
                const width = data.BYTES_PER_ELEMENT ?? 1;
                const whole = data instanceof ArrayBuffer || data instanceof SharedArrayBuffer
                    ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
                const end = size === undefined ? whole.length : (from + size) * width;
                new Uint8Array(buffer.bytes).set(whole.subarray(from * width, end), offset);
            },
        },
        createBuffer: (described) => new Buffer(described),
        createShaderModule: ({ code }) => ({ code, getCompilationInfo: async () => ({ messages: [] }) }),
        createComputePipeline: pipeline, createComputePipelineAsync: async (described) => pipeline(described),
        createBindGroup: ({ entries }) => ({ entries }),
        createBindGroupLayout: (described) => described, createPipelineLayout: (described) => described,
        createCommandEncoder: () => encoder(recorder),
        createQuerySet: () => ({ destroy() {} }), createTexture: () => ({ createView: () => ({}), destroy() {} }),
        createSampler: () => ({}),
        pushErrorScope() {}, popErrorScope: async () => null, addEventListener() {}, removeEventListener() {}, destroy() {},
    };
}

export function install(folder, features = ["shader-f16"]) {
    const recorder = new Recorder(folder);
    const known = new Set(features);
    const info = { vendor: "none", architecture: "none", device: "", description: "" };
    const adapter = {
        features: known, limits: LIMITS, info, isFallbackAdapter: false,
        requestAdapterInfo: async () => info, requestDevice: async () => device(recorder, known),
    };
    const gpu = {
        requestAdapter: async () => adapter, getPreferredCanvasFormat: () => "bgra8unorm",
        wgslLanguageFeatures: new Set(),
    };
    Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "Node" }, configurable: true });
    globalThis.GPUBufferUsage = constants(
        ["MAP_READ", "MAP_WRITE", "COPY_SRC", "COPY_DST", "INDEX", "VERTEX", "UNIFORM", "STORAGE", "INDIRECT",
            "QUERY_RESOLVE"]);
    globalThis.GPUMapMode = constants(["READ", "WRITE"]);
    globalThis.GPUShaderStage = constants(["VERTEX", "FRAGMENT", "COMPUTE"]);
    globalThis.GPUTextureUsage = constants(
        ["COPY_SRC", "COPY_DST", "TEXTURE_BINDING", "STORAGE_BINDING", "RENDER_ATTACHMENT"]);
    globalThis.GPUBuffer = Buffer;
    return recorder;
}
