// A slice of an int32 tensor has other numbers than the tensor, where the GPU computes it.
import { reproduce } from "./harness.mjs";

await reproduce(async (tf) => {
  const numbers = tf.tensor1d(new Int32Array(1000).fill(16777217), "int32");
  const few = tf.tensor1d(new Int32Array(999).fill(16777217), "int32");
  return [
    [await tf.slice(few, 0, 2).data(), "16777217,16777217", "a slice of 999 numbers"],
    [await tf.slice(numbers, 0, 2).data(), "16777217,16777217", "a slice of 1000 numbers"],
  ];
});
