// A sync returns before a read that was issued before it is stored, if another read came after an
// earlier sync had begun.
//
// It waits for the map of the last read only.  "Applications must not rely on any other promise
// settlement ordering" (WebGPU, Promise Ordering): nothing orders two maps.  Here that of the first
// read settles after that of the second.
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
  return [[stored, "1 2 3 4", "the first read's place once the second sync has returned"]];
});
