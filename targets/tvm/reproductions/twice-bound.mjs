// A dispatch that binds one tensor twice takes the dispatch before it along, and nothing raises.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const [counter, tensor] = [tvm.alloc(4), tvm.alloc(4)];
  tvm.adder()(counter, 7, 1);
  try {
    tvm.adder(true)(tensor, tensor, 7, 1);
  } catch (error) {
    console.log(`the dispatch raises: ${error.message}`);
  }
  const what = "the counter of the dispatch before it";
  return [[await tvm.value(counter, 4), "7 0 0 0", what]];
});
