// Of two reads into one place the first one stays, if its map settles last.
//
// "Applications must not rely on any other promise settlement ordering" (WebGPU, Promise Ordering):
// nothing orders two maps.  Here that of the first read settles after that of the second.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const native = GPUBuffer.prototype.mapAsync;
  let first = true;
  GPUBuffer.prototype.mapAsync = async function (...given) {
    const later = first ? 50 : 0;
    first = false;
    await native.apply(this, given);
    await new Promise((resolve) => setTimeout(resolve, later));
  };
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 1, 1, 1]);
  const at = tvm.read(tensor, 4);
  tvm.write(tensor, 0, [2, 2, 2, 2]);
  tvm.read(tensor, 4, at);
  await tvm.context.sync();
  return [[[...tvm.bytes.subarray(at, at + 4)].join(" "), "2 2 2 2", "the second read's place"]];
});
