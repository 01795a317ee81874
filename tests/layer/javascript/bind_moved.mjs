// Binds a group at a dynamic offset as the layer sees it, without a device, and prints what is bound.

import { Watched, accessInLayout, movedInLayout } from "../../../gpusim/layer/watched.js";

globalThis.GPUBuffer = class {
  constructor(size) {
    this.size = size;
  }
};

const entries = [
  { binding: 0, buffer: { type: "storage" } },
  { binding: 1, buffer: { type: "uniform", hasDynamicOffset: true } },
];
const known = new Watched();
const [storage, uniform, layout, group] = [new GPUBuffer(64), new GPUBuffer(512), {}, {}];
known.access.set(layout, accessInLayout({ entries }));
known.moved.set(layout, movedInLayout({ entries }));
known.group(group, {
  layout,
  entries: [
    { binding: 0, resource: { buffer: storage } },
    { binding: 1, resource: { buffer: uniform, size: 16 } },
  ],
});
console.log(JSON.stringify(known.bound({ group, dynamic: [256] }, 0, known.accessOf([layout]))));
