// A copy between two places of one tensor is lost, and the dispatch before it as well.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const [counter, tensor] = [tvm.alloc(4), tvm.alloc(8)];
  tvm.write(tensor, 0, [1, 2, 3, 4, 0, 0, 0, 0]);
  tvm.adder()(counter, 7, 1);
  tvm.copy(tensor, 0, tensor, 4, 4);
  const [copied, counted] = [await tvm.value(tensor, 8), await tvm.value(counter, 4)];
  return [
    [copied, "1 2 3 4 1 2 3 4", "the tensor"],
    [counted, "7 0 0 0", "the counter of the dispatch before the copy"],
  ];
});
