// A sync that rejects leaves reads under way, which are stored into memory that is another's by then.
//
// A map may fail while the device lives: "If this allocation fails ... reject p with a RangeError"
// (WebGPU, GPUBuffer.mapAsync).  Here that of the first read does, and that of the second takes longer.
import { reproduce, settleMaps } from "./harness.mjs";

await reproduce(async (tvm) => {
  settleMaps("fails", "later");
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 2, 3, 4]);
  tvm.read(tensor, 4);
  const at = tvm.read(tensor, 4);
  const ends = await tvm.context.sync().then(() => "returns", () => "raises");
  // The caller frees the tensors on the CPU, and something else gets their memory.
  tvm.bytes.set([9, 9, 9, 9], at);
  await tvm.context.sync();
  return [
    [ends, "raises", "the sync after the read that fails"],
    [tvm.bytesAt(at, 4), "9 9 9 9", "what the caller put into the memory after that sync"],
  ];
});
