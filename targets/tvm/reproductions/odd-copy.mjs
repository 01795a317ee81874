// A copy of three bytes between tensors of three bytes is lost, and the dispatch before it as well.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const [counter, from, to] = [tvm.alloc(4), tvm.alloc(3), tvm.alloc(3)];
  tvm.write(from, 0, [1, 2, 3]);
  tvm.adder()(counter, 7, 1);
  tvm.copy(from, 0, to, 0, 3);
  const [copied, counted] = [await tvm.value(to, 3), await tvm.value(counter, 4)];
  return [
    [copied, "1 2 3", "the target of the copy"],
    [counted, "7 0 0 0", "the counter of the dispatch before the copy"],
  ];
});
