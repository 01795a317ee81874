// A dispatch that raises, as it ought to, takes the dispatch before it along.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const [counter, freed] = [tvm.alloc(4), tvm.alloc(4)];
  const add = tvm.adder();
  tvm.free(freed);
  add(counter, 7, 1);
  try {
    add(freed, 7, 1);
  } catch (error) {
    console.log(`the dispatch over a freed tensor raises: ${error.message.split("\n")[0]}`);
  }
  const what = "the counter of the dispatch before it";
  return [[await tvm.value(counter, 4), "7 0 0 0", what]];
});
