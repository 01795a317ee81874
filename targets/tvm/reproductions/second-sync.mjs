// A sync does not wait for the reads that an earlier sync, still under way, waits for.
//
// Once such a read is the slower one.  "Applications must not rely on any other promise settlement
// ordering" (WebGPU, Promise Ordering): nothing orders two maps.  Once it fails, since the device goes.
import { reproduce, settleMaps } from "./harness.mjs";

await reproduce(async (tvm) => {
  settleMaps("after the next", "at once");
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 2, 3, 4]);
  const at = tvm.read(tensor, 4);
  const earlier = tvm.context.sync();
  tvm.read(tensor, 4);
  await tvm.context.sync();
  const stored = tvm.bytesAt(at, 4);
  await earlier;

  tvm.read(tensor, 4);
  const ends = [tvm.context.sync(), tvm.context.sync()];
  tvm.device.destroy();
  const [first, second] = await Promise.allSettled(ends);
  return [
    [stored, "1 2 3 4", "the first read's place once the second sync has returned"],
    [first.status, "rejected", "the first sync after the read that fails"],
    [second.status, "rejected", "the second sync after the read that fails"],
  ];
});
