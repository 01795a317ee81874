// int32 tensors have other numbers once they are one, where that is computed on the GPU.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const numbers = tf.tensor1d(new Int32Array(1000).fill(16777217), "int32");
  const few = tf.tensor1d([16777217], "int32");
  const [ofFew, ofMany] = await Promise.all([few, numbers].map((x) => tf.concat([x, x]).data()));
  return [
    [[...new Set(ofFew)], 16777217, "the numbers of two tensors of one number"],
    [[...new Set(ofMany)], 16777217, "the numbers of two tensors of 1000 numbers"],
  ];
});
