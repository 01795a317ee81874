// Of two reads into one place the first one stays, if its map settles last.
//
// "Applications must not rely on any other promise settlement ordering" (WebGPU, Promise Ordering):
// nothing orders two maps.  Here that of the first read settles after that of the second.
import { reproduce, settleMaps } from "./harness.mjs";

await reproduce(async (tvm) => {
  settleMaps("after the next", "at once");
  const tensor = tvm.alloc(4);
  tvm.write(tensor, 0, [1, 1, 1, 1]);
  const at = tvm.read(tensor, 4);
  tvm.write(tensor, 0, [2, 2, 2, 2]);
  tvm.read(tensor, 4, at);
  await tvm.context.sync();
  return [[tvm.bytesAt(at, 4), "2 2 2 2", "the second read's place"]];
});
