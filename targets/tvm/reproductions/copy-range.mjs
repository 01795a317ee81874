// A copy past the end of a tensor takes the dispatch before it along, and nothing raises.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const [counter, from, to] = [tvm.alloc(4), tvm.alloc(4), tvm.alloc(4)];
  tvm.adder()(counter, 7, 1);
  try {
    tvm.copy(from, 0, to, 4, 4);
  } catch (error) {
    console.log(`the copy raises: ${error.message}`);
  }
  const what = "the counter of the dispatch before the copy";
  return [[await tvm.value(counter, 4), "7 0 0 0", what]];
});
