// What the runtimes here have in common: commands gather in one encoder, everything else that needs
// them comes after a flush, and a sync waits for the reads.  Most bring bytes back in a way of their
// own.

const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
const UNIFORM = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
const STAGING = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
const SETTERS = { u32: "setUint32", i32: "setInt32", f32: "setFloat32" };

export class Recording {
  static promises = { orders_deliveries: false };

  constructor(device, pipelines) {
    Object.assign(this, { device, pipelines, encoder: null, owned: new Set(), reads: [] });
  }

  alloc(size, usage = STORAGE) {
    const buffer = this.device.createBuffer({ size, usage });
    this.owned.add(buffer);
    return buffer;
  }

  write(buffer, offset, bytes) {
    this.flush();
    this.device.queue.writeBuffer(buffer, offset, bytes);
  }

  dispatch(kernel, buffers, scalars, grid) {
    const pipeline = this.pipelineOf(kernel);
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    if (kernel.uniform_bytes) {
      entries.push({ binding: buffers.length, resource: this.uniform(kernel, scalars, grid) });
    }
    const layout = pipeline.getBindGroupLayout(0);
    const pass = this.open().beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(...grid);
    pass.end();
  }

  uniform(kernel, scalars, grid) {
    const buffer = this.alloc(kernel.uniform_bytes, UNIFORM);
    this.device.queue.writeBuffer(buffer, 0, payloadOf(kernel, scalars, grid));
    return { buffer };
  }

  copy(...ranges) {
    this.open().copyBufferToBuffer(...ranges);
  }

  // A staging buffer with the bytes at this point of the program; its map is the caller's.
  stage(buffer, offset, size, staging = this.alloc(size, STAGING)) {
    this.open().copyBufferToBuffer(buffer, offset, staging, 0, size);
    this.flush();
    return staging;
  }

  read(buffer, offset, size) {
    const staging = this.stage(buffer, offset, size);
    return this.keep(staging.mapAsync(GPUMapMode.READ).then(() => taken(staging)));
  }

  // A sync waits for a read that is kept.
  keep(read) {
    this.reads.push(read);
    return read;
  }

  async sync() {
    this.flush();
    await Promise.allSettled(this.reads);
  }

  flush() {
    if (this.encoder) this.device.queue.submit([this.encoder.finish()]);
    this.encoder = null;
  }

  free(buffer) {
    this.flush();
    this.owned.delete(buffer);
    buffer.destroy();
  }

  async close() {
    await this.sync();
    this.owned.forEach((buffer) => buffer.destroy());
  }

  open() {
    return (this.encoder ??= this.device.createCommandEncoder());
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

// The bytes of a mapped buffer, which is given back to the GPU.
export function taken(staging, size = staging.size) {
  const bytes = new Uint8Array(staging.getMappedRange(0, size)).slice();
  staging.unmap();
  return bytes;
}

// Until all that follows from settled promises has happened.
export async function settled() {
  for (let turns = 0; turns < 1000; turns += 1) await null;
}

export function payloadOf({ scalars: dtypes, guarded, uniform_bytes }, scalars, [x, y, z]) {
  const view = new DataView(new ArrayBuffer(uniform_bytes));
  scalars.forEach((value, at) => view[SETTERS[dtypes[at]]](4 * at, value, true));
  if (guarded) view.setUint32(4 * dtypes.length, x * y * z, true);
  return new Uint8Array(view.buffer);
}
