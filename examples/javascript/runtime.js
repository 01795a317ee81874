// A small batched WebGPU runtime, of the kind that inference in a browser has: dispatches gather in
// one encoder, uniform and staging buffers are pooled.

const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
const UNIFORM = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
const STAGING = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
const MOST_DISPATCHES = 16;
const UNIFORM_BYTES = 256;
const MOST_GROUPS = 65535;

export class BatchedRuntime {
  static promises = { delivery: "ticket", host_arrays: true, concurrent_syncs: true };

  // `pipelines` outlives a runtime: compiling is slow.
  constructor(device, pipelines) {
    this.device = device;
    this.pipelines = pipelines;
    this.encoder = null;
    this.pass = null;
    this.dispatches = 0;
    this.uniforms = [];
    this.uniformsTaken = 0;
    this.staging = new Map();
    this.reads = new Set();
    this.lastRead = null;
    this.buffers = new Set();
  }

  alloc(sizeBytes) {
    const buffer = this.device.createBuffer({ size: sizeBytes, usage: STORAGE });
    this.buffers.add(buffer);
    return buffer;
  }

  // A host write acts now, and what is recorded acts at the submit: that comes first.
  write(buffer, offset, bytes) {
    this.flush();
    this.device.queue.writeBuffer(buffer, offset, bytes);
  }

  dispatch(kernel, buffers, scalars, grid) {
    const groups = grid[0] * grid[1] * grid[2];
    const payload = payloadOf(kernel, scalars, groups);
    const pipeline = this.pipelineOf(kernel);
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    if (payload.byteLength) {
      const resource = { buffer: this.uniformWith(payload), size: payload.byteLength };
      entries.push({ binding: buffers.length, resource });
    }
    const layout = pipeline.getBindGroupLayout(0);
    this.pass ??= this.open().beginComputePass();
    this.pass.setPipeline(pipeline);
    this.pass.setBindGroup(0, this.device.createBindGroup({ layout, entries }));
    // A kernel that may be given more has a guard, which leaves out the groups that are too many.
    const spread = [MOST_GROUPS, Math.ceil(groups / MOST_GROUPS), 1];
    this.pass.dispatchWorkgroups(...(Math.max(...grid) > MOST_GROUPS ? spread : grid));
    if (++this.dispatches >= MOST_DISPATCHES) this.flush();
  }

  copy(source, sourceOffset, target, targetOffset, sizeBytes) {
    this.outsidePass().copyBufferToBuffer(source, sourceOffset, target, targetOffset, sizeBytes);
  }

  // A promise of the bytes at this point of the program.
  read(buffer, offset, sizeBytes) {
    const staging = this.takeStaging(sizeBytes);
    this.outsidePass().copyBufferToBuffer(buffer, offset, staging, 0, sizeBytes);
    this.flush();
    const read = this.fetch(staging, sizeBytes, this.lastRead);
    this.lastRead = read.catch(() => {});
    this.reads.add(read);
    read.finally(() => this.reads.delete(read));
    return read;
  }

  free(buffer) {
    this.flush();
    this.buffers.delete(buffer);
    buffer.destroy();
  }

  flush() {
    if (!this.encoder) return;
    this.outsidePass();
    this.device.queue.submit([this.encoder.finish()]);
    this.encoder = null;
    this.dispatches = this.uniformsTaken = 0;
  }

  async sync() {
    this.flush();
    await Promise.all([...this.reads, this.device.queue.onSubmittedWorkDone()]);
  }

  async close() {
    await this.sync();
    for (const buffers of this.staging.values()) buffers.forEach((buffer) => buffer.destroy());
    [...this.buffers, ...this.uniforms].forEach((buffer) => buffer.destroy());
  }

  open() {
    return (this.encoder ??= this.device.createCommandEncoder());
  }

  outsidePass() {
    this.pass?.end();
    this.pass = null;
    return this.open();
  }

  // One buffer a payload of the batch: the batch before has been submitted, so that it has its own.
  uniformWith(payload) {
    const slot = this.uniformsTaken++;
    this.uniforms[slot] ??= this.device.createBuffer({ size: UNIFORM_BYTES, usage: UNIFORM });
    this.device.queue.writeBuffer(this.uniforms[slot], 0, payload);
    return this.uniforms[slot];
  }

  takeStaging(sizeBytes) {
    const size = 2 ** Math.ceil(Math.log2(sizeBytes));
    const buffer = this.staging.get(size)?.pop();
    return buffer ?? this.device.createBuffer({ size, usage: STAGING });
  }

  // Maps settle in any order; reads arrive in their own, each after the one `before` it.
  async fetch(staging, sizeBytes, before) {
    await Promise.all([staging.mapAsync(GPUMapMode.READ, 0, sizeBytes), before]);
    const bytes = new Uint8Array(staging.getMappedRange(0, sizeBytes)).slice();
    staging.unmap();
    if (!this.staging.has(staging.size)) this.staging.set(staging.size, []);
    this.staging.get(staging.size).push(staging);
    return bytes;
  }

  pipelineOf({ name, wgsl }) {
    if (!this.pipelines.has(name)) {
      const module = this.device.createShaderModule({ code: wgsl });
      const made = this.device.createComputePipeline({ layout: "auto", compute: { module } });
      this.pipelines.set(name, made);
    }
    return this.pipelines.get(name);
  }
}

// The classic mistake: nobody thinks of the dispatches that the write overtakes.
export class OvertakingRuntime extends BatchedRuntime {
  write(buffer, offset, bytes) {
    this.device.queue.writeBuffer(buffer, offset, bytes);
  }
}

// What a kernel's uniform buffer holds: its scalars, then, if it is guarded, the number of groups.
function payloadOf({ scalars: dtypes, guarded, uniform_bytes }, scalars, groups) {
  const view = new DataView(new ArrayBuffer(uniform_bytes));
  const set = { u32: "setUint32", i32: "setInt32", f32: "setFloat32" };
  scalars.forEach((value, at) => view[set[dtypes[at]]](4 * at, value, true));
  if (guarded) view.setUint32(4 * dtypes.length, groups, true);
  return new Uint8Array(view.buffer);
}
