// A sync returns although a read before it failed, if another sync is under way.
//
// A map may fail while the device lives: "If this allocation fails ... reject p with a RangeError"
// (WebGPU, GPUBuffer.mapAsync).  Here that of the read does.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  GPUBuffer.prototype.mapAsync = async () => {
    throw new RangeError("Array buffer allocation failed");
  };
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 2, 3, 4]);
  tvm.read(tensor, 4);
  const ends = () => tvm.context.sync().then(() => "returns", () => "raises");
  const [first, second] = await Promise.all([ends(), ends()]);
  return [
    [first, "raises", "the first sync after the read"],
    [second, "raises", "the second sync after the read"],
  ];
});
