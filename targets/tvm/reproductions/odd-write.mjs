// A write of three bytes zeroes the byte behind them.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const tensor = tvm.alloc(8);
  tvm.write(tensor, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
  tvm.write(tensor, 0, [9, 9, 9]);
  return [[await tvm.value(tensor, 8), "9 9 9 4 5 6 7 8", "the tensor"]];
});
