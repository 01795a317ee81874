// A tensor that is freed once more takes another one along, which got its handle.
import { reproduce } from "./harness.mjs";

await reproduce(async (tvm) => {
  const first = tvm.alloc(4);
  tvm.free(first);
  const second = tvm.alloc(4);
  tvm.write(second, 0, [1, 2, 3, 4]);
  const attempt = async (body) => {
    try {
      return await body();
    } catch (error) {
      return `raised ${error.message.split("\n")[0]}`;
    }
  };
  await attempt(() => tvm.free(first));
  return [[await attempt(() => tvm.value(second, 4)), "1 2 3 4", "the other tensor"]];
});
